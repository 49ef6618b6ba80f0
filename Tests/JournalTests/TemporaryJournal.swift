import Foundation
import GRDB
import Journal

/// A folder with one journal, removed with this object.
final class TemporaryJournal: Sendable {
  let folder: URL
  let path: String

  init() throws {
    folder = FileManager.default.temporaryDirectory
      .appending(path: "journal-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    path = folder.appending(path: "orders.ferry.db").path()
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  func open(_ mode: MigrationJournal.OpenMode = .create(migration: "orders")) throws
    -> MigrationJournal
  {
    try MigrationJournal.open(at: path, mode: mode)
  }

  /// Changes the file behind the journal's back.
  func tamper(_ sql: String) throws {
    var configuration = Configuration()
    configuration.foreignKeysEnabled = false
    let queue = try DatabaseQueue(path: path, configuration: configuration)
    try queue.write { db in try db.execute(sql: sql) }
    try queue.close()
  }

  func bytes() throws -> Data { try Data(contentsOf: folder.appending(path: "orders.ferry.db")) }

  func replace(_ bytes: Data) throws {
    try bytes.write(to: folder.appending(path: "orders.ferry.db"))
  }
}

extension MigrationJournal {
  func acquire(_ holder: LeaseHolder = .current, for duration: Duration = .seconds(60)) throws
    -> Lease
  {
    try acquireLease(holder: holder, duration: duration)
  }

  /// Takes the lease, records `count` events one by one and gives the lease back.
  func record(_ count: Int) throws {
    let lease = try acquire()
    for number in 1...count {
      let stage = number % 2 == 0 ? "wave-\(number)" : nil
      try append(
        [NewEvent(stage: stage, kind: "step", payload: #"{"number":\#(number)}"#)], lease: lease)
    }
    release(lease)
  }
}
