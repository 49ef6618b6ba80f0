import Foundation
import GRDB
import SystemPackage

/// The journal's file: what stands at a path, how a new file comes into being, how one is connected to.
struct JournalFile {
  let path: String

  /// Throws: `unreadable` - something else than a regular file stands there.
  func exists() throws(JournalError) -> Bool {
    let attributes: [FileAttributeKey: Any]
    do {
      attributes = try FileManager.default.attributesOfItem(atPath: path)
    } catch CocoaError.fileReadNoSuchFile, CocoaError.fileNoSuchFile {
      return false
    } catch {
      throw JournalError(error, path: path)
    }
    guard attributes[.type] as? FileAttributeType == .typeRegular else {
      throw .unreadable(path: path, reason: "it is not a regular file")
    }
    return true
  }

  /// Builds a journal beside `path` and links it there once it is complete: no reader ever meets half
  /// a journal, and an empty file is never taken for a new one.
  func create(migration: String) throws(JournalError) {
    guard !migration.isEmpty else { throw .invalid(reason: "a migration has no name") }
    let draft = "\(path).new-\(UUID().uuidString)"
    let files = FileManager.default
    defer { try? files.removeItem(atPath: draft) }
    do {
      try FileDescriptor.open(
        FilePath(draft), .writeOnly, options: [.create, .exclusiveCreate, .noFollow, .closeOnExec],
        permissions: .ownerReadWrite
      ).close()
      let queue = try DatabaseQueue(path: draft, configuration: configuration(readOnly: false))
      try queue.write { db in
        try JournalSchema.migrate(db, from: 0)
        try JournalSchema.fill(db, migration: migration)
      }
      try queue.close()
      do {
        try files.linkItem(atPath: draft, toPath: path)
      } catch CocoaError.fileWriteFileExists {
        return  // Another process was first.
      }
    } catch {
      throw JournalError(error, path: path)
    }
  }

  /// Connects, and brings an older format up to date. `asked` is the migration whose journal this has to
  /// be, `nil` where any will do.
  func connect(
    readOnly: Bool, asked: String?
  ) throws(JournalError) -> (queue: DatabaseQueue, migration: String) {
    do {
      // A connection that can only read leaves a file that is refused as it was.
      let reader = try DatabaseQueue(path: path, configuration: configuration(readOnly: true))
      let version = try reader.read { db in try JournalSchema.version(db, path: path) }
      let migration = try reader.read(JournalSchema.migrationName)
      if let asked, asked != migration {
        throw JournalError.otherMigration(path: path, found: migration, asked: asked)
      }
      if readOnly {
        guard version == JournalSchema.supported else {
          throw JournalError.unreadable(
            path: path, reason: "its format \(version) is old; ferry run brings it up to date")
        }
        return (reader, migration)
      }
      try reader.close()
      try tighten()
      let queue = try DatabaseQueue(path: path, configuration: configuration(readOnly: false))
      try prepare(queue)
      return (queue, migration)
    } catch {
      throw JournalError(error, path: path)
    }
  }

  private func prepare(_ queue: DatabaseQueue) throws {
    try queue.writeWithoutTransaction { db in
      guard try String.fetchOne(db, sql: "PRAGMA journal_mode = WAL") == "wal" else {
        throw JournalError.storage(path: path, reason: "its file system does not support WAL")
      }
      // After opening: GRDB would lower it.
      try db.execute(sql: "PRAGMA synchronous = FULL")
      // 40 MB: map checkpoints write the same pages again and again.
      try db.execute(sql: "PRAGMA wal_autocheckpoint = 10000")
    }
    try queue.write { db in
      try JournalSchema.migrate(db, from: JournalSchema.version(db, path: path))
    }
  }

  private func configuration(readOnly: Bool) -> Configuration {
    var configuration = Configuration()
    configuration.readonly = readOnly
    configuration.busyMode = .timeout(5)
    configuration.foreignKeysEnabled = true
    configuration.prepareDatabase { db in
      try db.execute(sql: "PRAGMA cell_size_check = ON")
    }
    return configuration
  }

  /// Plans and estates are nobody else's business. SQLite gives new side files the mode of the main
  /// file; old ones may have come from a copy.
  private func tighten() throws {
    let files = FileManager.default
    for file in [path, "\(path)-wal", "\(path)-shm"] where files.fileExists(atPath: file) {
      let mode = try files.attributesOfItem(atPath: file)[.posixPermissions] as? Int
      if let mode, mode & 0o077 == 0 { continue }
      try files.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
    }
  }
}
