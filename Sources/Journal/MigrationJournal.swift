import Foundation
import GRDB
import Synchronization

/// The durable record of one migration: one SQLite file, safe to use from any thread and from several
/// processes at once. Every write is on disk when its method returns.
package final class MigrationJournal: Sendable {
  /// What may be done with the file, and what has to be there.
  package enum OpenMode: Hashable, Sendable {
    /// Opens the journal of the named migration, or creates it where there is no file.
    case create(migration: String)
    /// Opens a journal that must exist.
    case existing
    /// Reads alone; every write fails with ``JournalError/readOnly(path:)``.
    case readOnly
  }

  /// As given to ``open(at:mode:)``; side files stand beside it.
  package let path: String
  /// The name of the migration that the journal belongs to.
  package let migration: String

  let queue: DatabaseQueue
  let held = Mutex<HeldLock?>(nil)

  /// The operating system's lock behind the lease that this object took.
  struct HeldLock {
    let lock: LeaseLock
    let token: Int64
  }

  init(path: String, migration: String, queue: DatabaseQueue) {
    self.path = path
    self.migration = migration
    self.queue = queue
  }

  deinit {
    held.withLock { $0?.lock.free() }
  }

  /// Opens the journal at `path`. The file gets mode 0600 unless it is opened for reading alone. A
  /// file that cannot be used is left exactly as it is.
  ///
  /// Throws: `missing` - there is no file, and the mode is not `create`; `unreadable` - the file is no
  /// journal, damaged, empty, a symbolic link or a folder; `newerVersion`; `otherMigration`; `full`,
  /// `busy`, `storage`.
  package static func open(
    at path: String, mode: OpenMode
  ) throws(JournalError) -> MigrationJournal {
    let file = JournalFile(path: path)
    var asked: String?
    if case .create(let migration) = mode { asked = migration }
    if try !file.exists() {
      guard let asked else { throw .missing(path: path) }
      try file.create(migration: asked)
    }
    let (queue, migration) = try file.connect(readOnly: mode == .readOnly, asked: asked)
    return MigrationJournal(path: path, migration: migration, queue: queue)
  }

  /// Runs `body` on one consistent state of the file.
  func read<Value>(_ body: (Database) throws -> Value) throws(JournalError) -> Value {
    do { return try queue.read(body) } catch { throw JournalError(error, path: path) }
  }

  /// Runs `body` in one immediate transaction, which is undone where `body` throws.
  func write<Value>(_ body: (Database) throws -> Value) throws(JournalError) -> Value {
    do { return try queue.write(body) } catch { throw JournalError(error, path: path) }
  }

  /// As ``write(_:)``, after having checked in the same transaction that `lease` is current.
  func write<Value>(
    _ lease: Lease, _ body: (Database) throws -> Value
  ) throws(JournalError) -> Value {
    try write { db in
      let row = try LeaseRow.fetch(db)
      guard row.active, row.token == lease.token else {
        throw JournalError.fenced(by: row.active ? row.holder : nil)
      }
      return try body(db)
    }
  }
}
