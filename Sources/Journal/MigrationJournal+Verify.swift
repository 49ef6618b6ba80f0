import Foundation
import GRDB
import KafkaModel

extension MigrationJournal {
  /// Walks over everything: the chain of events, SQLite's own structure, references between rows, the
  /// offset maps, and the rules that keep history from being changed. Reads the whole file.
  ///
  /// Throws: `busy`, `storage` - the walk could not be done. Damage is a result, not an error.
  package func verify() throws(JournalError) -> JournalVerification {
    do {
      return try read { db in
        var walk = try ChainWalk(db, migration: self.migration, after: 0)
        var events: Int64 = 0
        try walk?.forEach(db) { events = $0.sequence }
        let damage =
          try Self.damagedStructure(db) ?? Self.damagedMap(db) ?? Self.changedRules(db)
        if let damage { return .broken(sequence: nil, what: damage) }
        return .intact(events: events, head: try ChainHead.fetch(db).hash.hexadecimal)
      }
    } catch JournalError.broken(let sequence, let what) {
      return .broken(sequence: sequence, what: what)
    } catch JournalError.unreadable(_, let reason) {
      return .broken(sequence: nil, what: reason)
    } catch {
      throw error
    }
  }

  private static func damagedStructure(_ db: Database) throws -> String? {
    let report = try String.fetchAll(db, sql: "PRAGMA integrity_check(1)")
    if report != ["ok"] { return "SQLite finds damage: \(report.joined(separator: "; "))" }
    let orphan = try Row.fetchOne(db, sql: "PRAGMA foreign_key_check")
    return orphan.map { row in "a row of \(row[0] as String) refers to one that is missing" }
  }

  private static func damagedMap(_ db: Database) throws -> String? {
    for partition in try partitions(db) {
      do {
        let map = try map(partition.id, db)
        guard map.end(on: .source) == partition.sourceEnd,
          map.end(on: .target) == partition.targetEnd
        else { return "the map of \(partition.source) ends elsewhere than its row says" }
      } catch let error as OffsetMapCodec.Damaged {
        return "the map of \(partition.source): \(error.reason)"
      }
    }
    return nil
  }

  /// Whether tables, triggers and indexes are those of this format: someone may have dropped a rule.
  private static func changedRules(_ db: Database) throws -> String? {
    let query = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
    let rules = { (db: Database) in
      try Row.fetchAll(db, sql: query).reduce(into: [:] as [String: String]) { $0[$1[0]] = $1[1] }
    }
    let expected = try DatabaseQueue().write { fresh in
      try JournalSchema.migrate(fresh, from: 0)
      return try rules(fresh)
    }
    let found = try rules(db)
    let differing = Set(expected.keys).union(found.keys).filter { expected[$0] != found[$0] }
    return differing.min().map { "the rule or table \($0) was changed" }
  }
}
