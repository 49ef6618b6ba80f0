import Foundation
import GRDB

extension MigrationJournal {
  /// Records `events`, begins and ends effects and answers a command, all in one transaction.
  ///
  /// Effects begin and end with the last event (the last recorded one where `events` is empty).
  /// `end` is done before `begin`, so an effect's id can be used again at once.
  ///
  /// Throws: `fenced`; `unknownEffect` - no pending effect has an id of `end`; `unknownCommand`,
  /// `alreadyAnswered`; `invalid` - a text is no JSON, a kind is empty, an effect is pending already,
  /// or the journal has no event yet; `broken` - the stored history was altered; `full`, `storage`.
  @discardableResult
  package func append(
    _ events: [NewEvent], begin: [NewEffect] = [], end: [String] = [],
    answer: (command: Int64, outcome: CommandOutcome)? = nil, lease: Lease
  ) throws(JournalError) -> [RecordedEvent] {
    try write(lease) { db in
      var head = try ChainHead.fetch(db)
      let recorded = try events.map { event in try head.append(event, to: db) }
      if !recorded.isEmpty { try head.store(db) }
      for id in end { try Self.endEffect(id, at: head.sequence, db) }
      for effect in begin { try Self.beginEffect(effect, at: head.sequence, db) }
      if let answer {
        try Self.answer(answer.command, answer.outcome, at: head.sequence, db)
      }
      return recorded
    }
  }

  /// The events after `sequence`, in order, at most `limit`. Their chain is checked on the way.
  ///
  /// Throws: `broken` - the first event that does not fit; `unreadable`, `storage`.
  package func events(
    after sequence: Int64 = 0, limit: Int? = nil
  ) throws(JournalError) -> [RecordedEvent] {
    try read { db in
      var events: [RecordedEvent] = []
      var walk = try ChainWalk(db, migration: self.migration, after: sequence)
      try walk?.forEach(db, limit: limit) { events.append($0) }
      return events
    }
  }

  /// The effects that were begun and not ended, in the order of their beginning.
  ///
  /// Throws: `unreadable`, `storage`.
  package func pendingEffects() throws(JournalError) -> [PendingEffect] {
    try read { db in
      try Row.fetchAll(db, sql: "SELECT * FROM effect WHERE ended IS NULL ORDER BY number").map {
        PendingEffect(
          id: $0["id"], stage: $0["stage"], kind: $0["kind"], payload: $0["payload"],
          beganSequence: $0["began"])
      }
    }
  }

  private static func beginEffect(
    _ effect: NewEffect, at sequence: Int64, _ db: Database
  ) throws {
    try db.execute(
      sql: "INSERT INTO effect (id, stage, kind, payload, began) VALUES (?, ?, ?, ?, ?)",
      arguments: [effect.id, effect.stage, effect.kind, effect.payload, sequence])
  }

  private static func endEffect(_ id: String, at sequence: Int64, _ db: Database) throws {
    try db.execute(
      sql: "UPDATE effect SET ended = ? WHERE id = ? AND ended IS NULL", arguments: [sequence, id])
    guard db.changesCount == 1 else { throw JournalError.unknownEffect(id) }
  }
}
