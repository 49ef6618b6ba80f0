import Foundation
import GRDB
import KafkaModel
import Testing

@testable import Journal

@Suite struct `Opening a journal` {
  let file: TemporaryJournal

  init() throws { file = try TemporaryJournal() }

  @Test func `A new journal knows its migration and can be opened again`() throws {
    #expect(try file.open().migration == "orders")
    #expect(try file.open(.existing).migration == "orders")
    #expect(try file.open(.readOnly).migration == "orders")
    #expect(
      try file.open().verify()
        == .intact(events: 0, head: EventChain(migration: "orders").hash.hexadecimal))
  }

  @Test func `Without a file only creating works`() throws {
    for mode in [MigrationJournal.OpenMode.existing, .readOnly] {
      #expect(throws: JournalError.missing(path: file.path)) { try file.open(mode) }
    }
    #expect(throws: JournalError.self) { try file.open(.create(migration: "")) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: file.folder.path()).isEmpty)
  }

  @Test func `The journal of another migration is refused`() throws {
    _ = try file.open()
    #expect(
      throws: JournalError.otherMigration(path: file.path, found: "orders", asked: "invoices")
    ) { try file.open(.create(migration: "invoices")) }
  }

  @Test func `A journal of a newer format is refused and not touched`() throws {
    _ = try file.open()
    try file.tamper("PRAGMA user_version = 7")
    let before = try file.bytes()
    for mode in [MigrationJournal.OpenMode.create(migration: "orders"), .existing, .readOnly] {
      #expect(throws: JournalError.newerVersion(path: file.path, found: 7, supported: 2)) {
        try file.open(mode)
      }
    }
    #expect(try file.bytes() == before)
  }

  @Test func `An older format is brought up to date step by step`() throws {
    let queue = try DatabaseQueue()
    let steps = ["CREATE TABLE one (a)", "CREATE TABLE two (a)", "CREATE TABLE three (a)"]
    try queue.write { db in
      try JournalSchema.migrate(db, from: 0, steps: Array(steps.prefix(1)))
      try JournalSchema.migrate(db, from: 1, steps: steps)
      try JournalSchema.migrate(db, from: 3, steps: steps)
      #expect(try Int.fetchOne(db, sql: "PRAGMA user_version") == 3)
      #expect(try db.tableExists("three"))
    }
  }

  @Test func `A file that is no journal is refused and not touched`() throws {
    for bytes in [Data(), Data("ferry: v1\n".utf8), Data(repeating: 0, count: 8192)] {
      try file.replace(bytes)
      for mode in [MigrationJournal.OpenMode.create(migration: "orders"), .existing, .readOnly] {
        try expectUnreadable { _ = try file.open(mode) }
      }
      #expect(try file.bytes() == bytes)
    }
  }

  @Test func `Another program's database is refused and not touched`() throws {
    try file.tamper("CREATE TABLE journal (migration)")
    let before = try file.bytes()
    try expectUnreadable { _ = try file.open() }
    #expect(try file.bytes() == before)
  }

  @Test func `A damaged header is refused and not touched`() throws {
    _ = try file.open()
    var bytes = try file.bytes()
    bytes[3] ^= 0x20
    try file.replace(bytes)
    try expectUnreadable { _ = try file.open() }
    #expect(try file.bytes() == bytes)
  }

  @Test func `Damaged pages are found and never reset`() throws {
    try file.open().record(300)
    let intact = try file.bytes()
    for page in 1..<intact.count / 4096 {
      var bytes = intact
      for index in page * 4096..<page * 4096 + 100 { bytes[index] ^= 0xff }
      try file.replace(bytes)
      do {
        guard case .broken = try file.open(.readOnly).verify() else {
          Issue.record("page \(page) passed")
          continue
        }
      } catch JournalError.unreadable {}
      #expect(try file.bytes() == bytes)
    }
  }

  @Test func `A link or a folder in the journal's place is refused`() throws {
    let other = file.folder.appending(path: "other").path()
    _ = try MigrationJournal.open(at: other, mode: .create(migration: "orders"))
    try FileManager.default.createSymbolicLink(atPath: file.path, withDestinationPath: other)
    try expectUnreadable { _ = try file.open() }
    try FileManager.default.removeItem(atPath: file.path)
    try FileManager.default.createDirectory(atPath: file.path, withIntermediateDirectories: false)
    try expectUnreadable { _ = try file.open() }
  }

  @Test func `Only the owner may read the journal and its side files`() throws {
    let journal = try file.open()
    try journal.record(1)
    let names = try FileManager.default.contentsOfDirectory(atPath: file.folder.path())
    #expect(Set(names.map { $0.split(separator: ".").last }) == ["db", "db-wal", "db-shm", "lock"])
    for name in names { #expect(try mode(name) == 0o600, "\(name)") }
  }

  @Test func `A journal that others may read is closed to them`() throws {
    _ = try file.open()
    try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: file.path)
    _ = try file.open(.existing)
    #expect(try mode("orders.ferry.db") == 0o600)
  }

  @Test func `Every commit is synced, and references are enforced`() throws {
    for mode in [MigrationJournal.OpenMode.create(migration: "orders"), .existing] {
      let journal = try file.open(mode)
      let settings = try ["synchronous", "journal_mode", "foreign_keys", "busy_timeout"].map {
        name in
        try journal.queue.inDatabase { db in try String.fetchOne(db, sql: "PRAGMA \(name)") }
      }
      #expect(settings == ["2", "wal", "1", "5000"])
    }
  }

  @Test func `A full disk is named, and what was recorded stays`() throws {
    let journal = try file.open()
    let lease = try journal.acquire()
    try journal.append([NewEvent(kind: "first")], lease: lease)
    let pages = try journal.queue.read { db in try Int.fetchOne(db, sql: "PRAGMA page_count") }
    try journal.queue.inDatabase { db in
      try db.execute(sql: "PRAGMA max_page_count = \(pages ?? 0)")
    }
    let large = NewEvent(kind: "large", payload: "\"\(String(repeating: "x", count: 100_000))\"")
    #expect(throws: JournalError.full(path: file.path)) {
      try journal.append([large], lease: lease)
    }
    #expect(try journal.events().map(\.kind) == ["first"])
    #expect(JournalError.full(path: file.path).description.contains(file.path))
  }

  @Test func `A journal opened for reading refuses to write`() throws {
    _ = try file.open()
    let journal = try file.open(.readOnly)
    #expect(throws: JournalError.readOnly(path: file.path)) {
      try journal.submit(NewCommand(kind: "pause", user: "kim", host: "here"))
    }
  }

  private func mode(_ name: String) throws -> Int? {
    let path = file.folder.appending(path: name).path()
    return try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
  }

  private func expectUnreadable(_ body: () throws -> Void) throws {
    let error = #expect(throws: JournalError.self) { try body() }
    guard case .unreadable(file.path, _) = error else {
      Issue.record("got \(String(describing: error))")
      return
    }
  }
}
