import Foundation
import GRDB

/// The end of the event chain, kept in a row of its own so that a removed tail is noticed.
struct ChainHead {
  private(set) var sequence: Int64
  private var chain: EventChain

  var hash: Data { chain.hash }

  /// Throws: ``JournalError`` `broken` - the last event is not the head.
  static func fetch(_ db: Database) throws -> ChainHead {
    guard let row = try Row.fetchOne(db, sql: "SELECT head_sequence, head_hash FROM journal") else {
      throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "it has no head")
    }
    let head = ChainHead(
      sequence: row["head_sequence"], chain: EventChain(after: row["head_hash"]))
    let last = try Row.fetchOne(
      db, sql: "SELECT sequence, hash FROM event ORDER BY sequence DESC LIMIT 1")
    let lastSequence: Int64 = last?["sequence"] ?? 0
    guard lastSequence == head.sequence else {
      throw JournalError.broken(
        sequence: min(lastSequence, head.sequence) + 1,
        what: "\(head.sequence) events were recorded, and the last one there is \(lastSequence)")
    }
    if let last, last["hash"] as Data != head.hash {
      throw JournalError.broken(sequence: lastSequence, what: "its hash is not the recorded head")
    }
    return head
  }

  mutating func append(_ event: NewEvent, to db: Database) throws -> RecordedEvent {
    // SQLite would cut a text at a NUL, and the stored event would no longer have its hash.
    for text in [event.stage ?? "", event.kind, event.payload] where text.utf8.contains(0) {
      throw JournalError.invalid(reason: "an event contains a NUL character")
    }
    let milliseconds = event.time.milliseconds
    sequence += 1
    chain.append(
      sequence: sequence, milliseconds: milliseconds, stage: event.stage, kind: event.kind,
      payload: event.payload)
    try db.cachedStatement(
      sql: """
        INSERT INTO event (sequence, time, stage, kind, payload, hash) VALUES (?, ?, ?, ?, ?, ?)
        """
    ).execute(arguments: [sequence, milliseconds, event.stage, event.kind, event.payload, hash])
    return RecordedEvent(
      sequence: sequence, time: Date(milliseconds: milliseconds), stage: event.stage,
      kind: event.kind, payload: event.payload, hash: hash.hexadecimal)
  }

  func store(_ db: Database) throws {
    try db.execute(
      sql: "UPDATE journal SET head_sequence = ?, head_hash = ?", arguments: [sequence, hash])
  }
}
