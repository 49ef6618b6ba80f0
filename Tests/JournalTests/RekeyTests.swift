import GRDB
import KafkaModel
import Testing

@testable import Journal

@Suite struct RekeyTests {
  private let file: TemporaryJournal
  private let journal: MigrationJournal
  private let lease: Lease

  init() async throws {
    file = try TemporaryJournal()
    journal = try file.open()
    lease = try journal.acquire()
  }

  private func cut(_ number: Int64, _ kind: RekeyCut.Kind, _ source: [Int64], _ target: [Int64])
    -> RekeyCut
  {
    RekeyCut(
      number: number, kind: kind, source: source.map { Offset($0) },
      target: target.map { Offset($0) }, records: 1)
  }

  @Test func `A round is begun and its cut takes the place of that`() throws {
    let base = cut(0, .base, [0, 5_000_000_000], [0, 0, 0])
    try journal.appendRekeyCut(base, of: "t", lease: lease)
    #expect(try journal.rekeyIntent(of: "t") == nil)
    let end = [Offset(300), Offset(5_000_000_001)]
    try journal.beginRekeyRound(of: "t", .forward, to: end, lease: lease)
    #expect(try journal.rekeyIntent(of: "t")?.end == end)
    #expect(throws: JournalError.self) {
      try journal.beginRekeyRound(of: "t", .forward, to: end, lease: lease)
    }
    let next = cut(1, .forward, [300, 5_000_000_001], [100, 101, 100])
    try journal.appendRekeyCut(next, of: "t", lease: lease)
    #expect(try journal.rekeyCuts(of: "t") == [base, next])
    #expect(try journal.lastRekeyCut(of: "t") == next)
    #expect(try journal.rekeyIntent(of: "t") == nil)
  }

  @Test func `A cut that does not follow is refused`() throws {
    try journal.appendRekeyCut(cut(0, .base, [5], [5, 5]), of: "t", lease: lease)
    for wrong in [
      cut(1, .forward, [6], [5, 6]), cut(2, .base, [6], [6, 6]), cut(1, .base, [4], [6, 6]),
    ] {
      #expect(throws: JournalError.self) {
        try journal.appendRekeyCut(wrong, of: "t", lease: lease)
      }
    }
    #expect(try journal.rekeyCuts(of: "t").count == 1)
    #expect(try journal.lastRekeyCut(of: "other") == nil)
  }

  @Test func `Old cuts that were compared are thinned out, and the last ones stay`() throws {
    try journal.appendRekeyCut(cut(0, .base, [0], [0, 0]), of: "t", lease: lease)
    for number in 1...(MigrationJournal.denseCuts + 200) {
      try journal.beginRekeyRound(of: "t", .forward, to: [Offset(number)], lease: lease)
      try journal.appendRekeyCut(
        cut(number, .forward, [number], [number, 0]), of: "t", lease: lease)
      if number == 100 { try journal.recordRekeyValidated(of: "t", upTo: 100, lease: lease) }
    }
    let numbers = try journal.rekeyCuts(of: "t").map(\.number)
    #expect(Array(numbers.prefix(3)) == [0, 16, 32])
    #expect(numbers.filter { $0 >= 100 }.count == Int(MigrationJournal.denseCuts) + 101)
  }

  @Test func `A journal of the first format gets the tables, and keeps what it has`() throws {
    let queue = try DatabaseQueue()
    try queue.write { db in
      try JournalSchema.migrate(db, from: 0, steps: [JournalSchema.version1])
      try db.execute(sql: "INSERT INTO fact (key, value) VALUES ('plan', 'kept')")
      try JournalSchema.migrate(db, from: 1)
      #expect(try Int.fetchOne(db, sql: "PRAGMA user_version") == 2)
      #expect(try db.tableExists("rekey_cut"))
      #expect(try String.fetchOne(db, sql: "SELECT value FROM fact") == "kept")
    }
  }
}
