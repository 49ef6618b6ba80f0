import Foundation
import GRDB
import Testing

@testable import Journal

@Suite struct `The event log` {
  let file: TemporaryJournal
  let journal: MigrationJournal

  init() throws {
    file = try TemporaryJournal()
    journal = try file.open()
  }

  @Test func `Events come back as they were recorded, also after reopening`() throws {
    let lease = try journal.acquire()
    let time = Date(timeIntervalSince1970: 1_700_000_000.123)
    let recorded = try journal.append(
      [
        NewEvent(kind: "started", payload: #"{"ä":"\u0000"}"#, time: time),
        NewEvent(stage: "wave-1", kind: "fenced", payload: "[1, 2]"),
      ], lease: lease)
    try journal.append([NewEvent(stage: "", kind: "drained")], lease: lease)
    #expect(recorded.map(\.sequence) == [1, 2])
    #expect(recorded[0].time == time)
    #expect(try Array(journal.events().prefix(2)) == recorded)
    #expect(try file.open(.readOnly).events(after: 1, limit: 1) == [recorded[1]])
    #expect(try journal.events(after: 2).map(\.stage) == [""])
    #expect(try journal.events(after: 3).isEmpty)
    #expect(try journal.events(after: 99).isEmpty)
  }

  @Test func `The chain's encoding is fixed`() throws {
    var chain = EventChain(migration: "orders")
    let genesis = chain.hash.hexadecimal
    chain.append(sequence: 1, milliseconds: 2, stage: nil, kind: "k", payload: "{}")
    let first = chain.hash.hexadecimal
    chain.append(sequence: 2, milliseconds: 3, stage: "s", kind: "k", payload: "{}")
    #expect(genesis == "52a5d6bdc4dc7e38d3cbf64e19cfaac584382b1ec9137c58711b2493b1a26d67")
    #expect(first == "d6841fdc95e79a4321f48813764815fdd58b7332d8780094e5b63e1a8fc9180c")
    #expect(
      chain.hash.hexadecimal == "59ece57e7213a8dee4e5e78cc18442e2e84ed2f7544c20cb4107827bcabe88be")
  }

  @Test func `Texts cannot be shifted between fields without another hash`() throws {
    var hashes: Set<Data> = []
    let fields: [(String?, String, String)] = [
      (nil, "ab", "c"), (nil, "a", "bc"), ("", "ab", "c"), ("a", "b", "c"), ("ab", "", "c"),
    ]
    for (stage, kind, payload) in fields {
      var chain = EventChain(migration: "orders")
      chain.append(sequence: 1, milliseconds: 0, stage: stage, kind: kind, payload: payload)
      hashes.insert(chain.hash)
    }
    #expect(hashes.count == fields.count)
  }

  @Test(arguments: [
    ("UPDATE event SET payload = replace(payload, '4', '5') WHERE sequence = 4", 4),
    ("UPDATE event SET payload = payload || ' ' WHERE sequence = 7", 7),
    ("UPDATE event SET time = time + 1 WHERE sequence = 3", 3),
    ("UPDATE event SET kind = 'stop' WHERE sequence = 1", 1),
    ("UPDATE event SET stage = '' WHERE sequence = 5", 5),
    ("UPDATE event SET stage = NULL WHERE sequence = 6", 6),
    ("UPDATE event SET hash = zeroblob(32) WHERE sequence = 2", 2),
    ("DELETE FROM event WHERE sequence = 5", 5),
    ("DELETE FROM event WHERE sequence = 1", 1),
    ("DELETE FROM event WHERE sequence > 8", 9),
    ("DELETE FROM event", 1),
    (
      """
      UPDATE event SET sequence = 99 WHERE sequence = 3;
      UPDATE event SET sequence = 3 WHERE sequence = 4;
      UPDATE event SET sequence = 4 WHERE sequence = 99
      """, 3
    ),
    (
      """
      UPDATE event SET payload = (SELECT payload FROM event WHERE sequence = 8),
        hash = (SELECT hash FROM event WHERE sequence = 8) WHERE sequence = 10
      """, 10
    ),
  ])
  func `Any edit behind the journal's back is found`(_ edit: String, _ sequence: Int64) throws {
    try journal.record(10)
    try file.tamper("DROP TRIGGER event_fixed; DROP TRIGGER event_kept; \(edit)")
    guard case .broken(sequence, _) = try journal.verify() else {
      Issue.record("\(try journal.verify())")
      return
    }
    let error = #expect(throws: JournalError.self) { try journal.events() }
    guard case .broken(sequence, _) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test func `A last event replaced with a hash that fits the chain is found`() throws {
    try journal.record(3)
    let previous = try journal.events()[1]
    let hash = try journal.queue.read { db in
      try Data.fetchOne(db, sql: "SELECT hash FROM event WHERE sequence = \(previous.sequence)")
    }
    var chain = EventChain(after: try #require(hash))
    chain.append(sequence: 3, milliseconds: 0, stage: nil, kind: "forged", payload: "{}")
    try file.tamper(
      """
      DROP TRIGGER event_fixed;
      UPDATE event SET time = 0, stage = NULL, kind = 'forged', payload = '{}',
        hash = x'\(chain.hash.hexadecimal)' WHERE sequence = 3
      """)
    #expect(throws: JournalError.self) { try journal.events() }
    let lease = try journal.acquire()
    #expect(throws: JournalError.self) {
      try journal.append([NewEvent(kind: "next")], lease: lease)
    }
  }

  @Test func `The file itself forbids changing history`() throws {
    try journal.record(2)
    for edit in [
      "UPDATE event SET kind = 'x'", "DELETE FROM event", "DELETE FROM journal",
      "INSERT OR REPLACE INTO event SELECT * FROM event WHERE sequence = 1",
      "INSERT INTO event VALUES (9, 0, NULL, 'x', '{}', zeroblob(32))",
      "UPDATE journal SET migration = 'x'", "UPDATE journal SET head_sequence = 1",
      "UPDATE lease SET token = 0", "DELETE FROM lease",
    ] {
      #expect(throws: DatabaseError.self, "\(edit)") { try file.tamper(edit) }
    }
    #expect(try journal.events().count == 2)
  }

  @Test func `A dropped rule is found even where no event was touched`() throws {
    try journal.record(1)
    try file.tamper("DROP TRIGGER event_kept")
    guard case .broken(nil, let what) = try journal.verify() else {
      Issue.record("\(try journal.verify())")
      return
    }
    #expect(what.contains("event_kept"))
  }

  @Test func `An intact journal says how many events it has and where the chain ends`() throws {
    try journal.record(5)
    let last = try #require(try journal.events().last)
    #expect(try file.open(.readOnly).verify() == .intact(events: 5, head: last.hash))
  }

  @Test func `An event that is no JSON, unnamed or cut by SQLite is refused whole`() throws {
    let lease = try journal.acquire()
    for event in [
      NewEvent(kind: "a", payload: "{"), NewEvent(kind: ""), NewEvent(kind: "a\0b"),
      NewEvent(stage: "\0", kind: "a"),
    ] {
      #expect(throws: JournalError.self) {
        try journal.append([NewEvent(kind: "fine"), event], lease: lease)
      }
    }
    #expect(try journal.events().isEmpty)
  }
}
