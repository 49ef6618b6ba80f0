import Foundation
import GRDB

/// Reads events in order and recomputes their chain.
struct ChainWalk {
  private var sequence: Int64
  private var chain: EventChain

  /// `nil` where there is no event `sequence`, so none after it either.
  init?(_ db: Database, migration: String, after sequence: Int64) throws {
    self.sequence = max(0, sequence)
    if sequence <= 0 {
      chain = EventChain(migration: migration)
    } else {
      let hash = try Data.fetchOne(
        db, sql: "SELECT hash FROM event WHERE sequence = ?", arguments: [sequence])
      guard let hash else { return nil }
      chain = EventChain(after: hash)
    }
  }

  /// Throws: ``JournalError`` `broken` - the first event that is missing or does not fit.
  mutating func forEach(
    _ db: Database, limit: Int? = nil, _ body: (RecordedEvent) throws -> Void
  ) throws {
    let rows = try Row.fetchCursor(
      db, sql: "SELECT * FROM event WHERE sequence > ? ORDER BY sequence LIMIT ?",
      arguments: [sequence, limit ?? -1])
    var count = 0
    while let row = try rows.next() {
      try body(check(row))
      count += 1
    }
    if limit == nil || count < limit ?? 0 { try checkEnd(db) }
  }

  private mutating func check(_ row: Row) throws -> RecordedEvent {
    sequence += 1
    guard row["sequence"] as Int64 == sequence else {
      throw JournalError.broken(sequence: sequence, what: "it is missing")
    }
    let milliseconds: Int64 = row["time"]
    let event = RecordedEvent(
      sequence: sequence, time: Date(milliseconds: milliseconds), stage: row["stage"],
      kind: row["kind"], payload: row["payload"], hash: (row["hash"] as Data).hexadecimal)
    chain.append(
      sequence: sequence, milliseconds: milliseconds, stage: event.stage, kind: event.kind,
      payload: event.payload)
    guard chain.hash == row["hash"] as Data else {
      throw JournalError.broken(
        sequence: sequence, what: "it, or the one before, was altered: its hash does not fit")
    }
    return event
  }

  private func checkEnd(_ db: Database) throws {
    let head = try ChainHead.fetch(db)
    guard head.sequence == sequence, head.hash == chain.hash else {
      throw JournalError.broken(sequence: sequence + 1, what: "the recorded head lies elsewhere")
    }
  }
}
