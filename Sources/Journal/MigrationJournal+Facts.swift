package import Foundation
import GRDB

extension MigrationJournal {
  /// Fixes `key` for good, such as the plan's digest. Setting the same value again changes nothing.
  ///
  /// Throws: `factDiffers` - another value is fixed; `fenced`, `full`, `storage`.
  package func setFact(
    _ key: String, _ value: String, lease: Lease
  ) throws(JournalError) {
    try write(lease) { db in
      if let stored = try Self.fact(key, db) {
        guard stored == value else {
          throw JournalError.factDiffers(key: key, stored: stored, asked: value)
        }
        return
      }
      try db.execute(sql: "INSERT INTO fact (key, value) VALUES (?, ?)", arguments: [key, value])
    }
  }

  /// The value fixed for `key`; `nil` where none is.
  ///
  /// Throws: `unreadable`, `busy`, `storage`.
  package func fact(_ key: String) throws(JournalError) -> String? {
    try read { db in try Self.fact(key, db) }
  }

  /// Replaces the engine's live status, JSON for `ferry status`. It is no part of the history.
  ///
  /// Throws: `fenced`; `invalid` - it is no JSON; `full`, `busy`, `storage`.
  package func publishStatus(_ json: String, lease: Lease) throws(JournalError) {
    try write(lease) { db in
      try db.execute(
        sql: """
          INSERT INTO status (id, json, time) VALUES (1, ?, ?)
          ON CONFLICT (id) DO UPDATE SET json = excluded.json, time = excluded.time
          """,
        arguments: [json, Date().milliseconds])
    }
  }

  /// The last status, and when it was published; `nil` where there never was one.
  ///
  /// Throws: `unreadable`, `busy`, `storage`.
  package func latestStatus() throws(JournalError) -> (json: String, time: Date)? {
    try read { db in
      try Row.fetchOne(db, sql: "SELECT json, time FROM status").map { row in
        (json: row["json"], time: Date(milliseconds: row["time"]))
      }
    }
  }

  private static func fact(_ key: String, _ db: Database) throws -> String? {
    try String.fetchOne(db, sql: "SELECT value FROM fact WHERE key = ?", arguments: [key])
  }
}
