import Foundation
import GRDB
package import KafkaModel

/// Cuts of rekeyed topics; see ``RekeyCut``. Topics go by their names on the source.
extension MigrationJournal {
  /// All cuts of a topic that are kept, in order; empty where it was never armed.
  ///
  /// Throws: `unreadable`, `busy`, `storage`.
  package func rekeyCuts(of topic: String) throws(JournalError) -> [RekeyCut] {
    try read { db in
      let rows = try Row.fetchCursor(
        db,
        sql: """
          SELECT rekey_cut.* FROM rekey_cut JOIN rekey_topic ON rekey_topic.id = rekey_cut.topic
          WHERE rekey_topic.topic = ? ORDER BY number
          """, arguments: [topic])
      var cuts: [RekeyCut] = []
      while let row = try rows.next() { cuts.append(try Self.cut(row)) }
      return cuts
    }
  }

  /// The last cut; `nil` where the topic was never armed.
  ///
  /// Throws: `unreadable`, `busy`, `storage`.
  package func lastRekeyCut(of topic: String) throws(JournalError) -> RekeyCut? {
    try read { db in
      try Row.fetchOne(
        db,
        sql: """
          SELECT rekey_cut.* FROM rekey_cut JOIN rekey_topic ON rekey_topic.id = rekey_cut.topic
          WHERE rekey_topic.topic = ? ORDER BY number DESC LIMIT 1
          """, arguments: [topic]
      ).map(Self.cut)
    }
  }

  /// Where the round ends that was begun last and whose cut is not noted; `nil` where there is none.
  ///
  /// Throws: `unreadable`, `busy`, `storage`.
  package func rekeyIntent(
    of topic: String
  ) throws(JournalError) -> (direction: Direction, end: [Offset])? {
    try read { db in
      let row = try Row.fetchOne(
        db,
        sql: """
          SELECT intent_direction, intent_end FROM rekey_topic
          WHERE topic = ? AND intent_end IS NOT NULL
          """, arguments: [topic])
      guard let row, let direction = Direction(rawValue: row["intent_direction"]) else {
        return nil
      }
      return (direction, try OffsetVector.decode(row["intent_end"]))
    }
  }

  /// Notes that a round is begun.
  ///
  /// Throws: `invalid` - the topic was never armed, or the round before is not complete; `fenced`,
  /// `full`, `busy`, `storage`.
  package func beginRekeyRound(
    of topic: String, _ direction: Direction, to end: [Offset], lease: Lease
  ) throws(JournalError) {
    try write(lease) { db in
      try db.execute(
        sql: """
          UPDATE rekey_topic SET intent_direction = ?, intent_end = ?
          WHERE topic = ? AND intent_end IS NULL
          """, arguments: [direction.rawValue, OffsetVector.encode(end), topic])
      guard db.changesCount == 1 else {
        throw JournalError.invalid(
          reason: "a round of \(topic) is not complete, or was never armed")
      }
    }
  }

  /// Adds a cut in the place of the round that was begun. A `base` cut arms a mirror, and needs no round.
  ///
  /// Throws: `invalid` - it does not follow the last cut on both sides, or a base cut comes within a
  /// round; `fenced`, `full`, `busy`, `storage`.
  package func appendRekeyCut(
    _ cut: RekeyCut, of topic: String, lease: Lease
  ) throws(JournalError) {
    try write(lease) { db in
      try db.execute(
        sql: "INSERT INTO rekey_topic (topic) VALUES (?) ON CONFLICT DO NOTHING",
        arguments: [topic])
      let row = try Row.fetchOne(
        db, sql: "SELECT id, intent_direction FROM rekey_topic WHERE topic = ?", arguments: [topic])
      let id: Int64 = row?["id"] ?? 0
      let begun: String? = row?["intent_direction"]
      guard begun == (cut.kind == .base ? nil : cut.kind.rawValue) else {
        throw JournalError.invalid(
          reason: "a \(cut.kind.rawValue) cut of \(topic) does not end the round that was begun")
      }
      if let last = try Row.fetchOne(
        db, sql: "SELECT * FROM rekey_cut WHERE topic = ? ORDER BY number DESC LIMIT 1",
        arguments: [id]
      ).map(Self.cut) {
        guard last.source.isWithin(cut.source), last.target.isWithin(cut.target) else {
          throw JournalError.invalid(reason: "a cut of \(topic) does not follow the last one")
        }
      }
      try db.execute(
        sql: """
          INSERT INTO rekey_cut (topic, number, kind, source, target, records)
          VALUES (?, ?, ?, ?, ?, ?)
          """,
        arguments: [
          id, cut.number, cut.kind.rawValue, OffsetVector.encode(cut.source),
          OffsetVector.encode(cut.target), cut.records,
        ])
      try db.execute(
        sql: "UPDATE rekey_topic SET intent_direction = NULL, intent_end = NULL WHERE id = ?",
        arguments: [id])
      try Self.thinOut(id, upTo: cut.number - Self.denseCuts, db)
    }
  }

  /// The last so many cuts are all kept. Before them, of those that are compared one in sixteen is: a group
  /// that stands so far back reads up to sixteen rounds again.
  package static let denseCuts: Int64 = 10_000

  private static func thinOut(_ topic: Int64, upTo number: Int64, _ db: Database) throws {
    guard number > 0, number % 64 == 0 else { return }
    try db.execute(
      sql: """
        DELETE FROM rekey_cut WHERE topic = ? AND number BETWEEN ? AND ? AND number % 16 <> 0
          AND kind <> 'base'
          AND number < (SELECT coalesce(validated, 0) FROM rekey_topic WHERE id = ?)
        """, arguments: [topic, number - 64, number, topic])
  }

  /// The number of the cut up to which both sides were found equal; `nil` where nothing was compared.
  ///
  /// Throws: `unreadable`, `busy`, `storage`.
  package func rekeyValidated(of topic: String) throws(JournalError) -> Int64? {
    try read { db in
      try Int64.fetchOne(
        db, sql: "SELECT validated FROM rekey_topic WHERE topic = ?", arguments: [topic])
    }
  }

  /// Records that both sides were found equal up to a cut.
  ///
  /// Throws: `fenced`, `full`, `busy`, `storage`.
  package func recordRekeyValidated(
    of topic: String, upTo number: Int64, lease: Lease
  ) throws(JournalError) {
    try write(lease) { db in
      try db.execute(
        sql: "UPDATE rekey_topic SET validated = max(coalesce(validated, 0), ?) WHERE topic = ?",
        arguments: [number, topic])
    }
  }

  private static func cut(_ row: Row) throws -> RekeyCut {
    guard let kind = RekeyCut.Kind(rawValue: row["kind"]) else {
      throw JournalError.invalid(reason: "a cut of unknown kind")
    }
    return RekeyCut(
      number: row["number"], kind: kind, source: try OffsetVector.decode(row["source"]),
      target: try OffsetVector.decode(row["target"]), records: row["records"])
  }
}
