import Foundation
import GRDB

/// The journal's tables, by format version. A format that was ever released is never edited: a change
/// is a further step.
enum JournalSchema {
  /// `Fery`: marks the file as a journal.
  static let applicationID: Int64 = 0x4665_7279

  /// Step n leads from format n to format n + 1.
  static let steps = [version1, version2]

  static var supported: Int64 { Int64(steps.count) }

  /// The format of the file.
  ///
  /// Throws: ``JournalError`` `unreadable` - the file is no journal; `newerVersion`.
  static func version(_ db: Database, path: String) throws -> Int64 {
    let application = try Int64.fetchOne(db, sql: "PRAGMA application_id") ?? 0
    guard application == applicationID else {
      let pages = try Int64.fetchOne(db, sql: "PRAGMA page_count") ?? 0
      let reason = pages == 0 ? "the file is empty" : "it is another program's database"
      throw JournalError.unreadable(path: path, reason: reason)
    }
    let version = try Int64.fetchOne(db, sql: "PRAGMA user_version") ?? 0
    guard version <= supported else {
      throw JournalError.newerVersion(path: path, found: version, supported: supported)
    }
    guard version > 0 else {
      throw JournalError.unreadable(path: path, reason: "it has no format number")
    }
    return version
  }

  /// Takes the steps that are missing, in the caller's transaction.
  static func migrate(_ db: Database, from version: Int64, steps: [String] = steps) throws {
    guard version < steps.count else { return }
    for step in steps.dropFirst(Int(version)) { try db.execute(sql: step) }
    try db.execute(
      sql: "PRAGMA application_id = \(applicationID); PRAGMA user_version = \(steps.count)")
  }

  /// Writes the rows that a new journal begins with.
  static func fill(_ db: Database, migration: String) throws {
    try db.execute(
      sql: """
        INSERT INTO journal (id, migration, created, head_sequence, head_hash)
        VALUES (1, ?, ?, 0, ?)
        """,
      arguments: [
        migration, Date().milliseconds, EventChain(migration: migration).hash,
      ])
    try db.execute(
      sql: """
        INSERT INTO lease (id, token, active, host, user, process, since, expires)
        VALUES (1, 0, 0, '', '', 0, 0, 0)
        """)
  }

  static func migrationName(_ db: Database) throws -> String {
    guard let name = try String.fetchOne(db, sql: "SELECT migration FROM journal") else {
      throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "it names no migration")
    }
    return name
  }
}
