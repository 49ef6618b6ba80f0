import Foundation
import Journal
import KafkaModel
import Testing

@Suite struct `The lease` {
  let file: TemporaryJournal
  let journal: MigrationJournal
  let here = LeaseHolder.current.host

  init() throws {
    file = try TemporaryJournal()
    journal = try file.open()
  }

  @Test func `A second engine is refused while the first one works`() throws {
    let first = try journal.acquire()
    #expect(first.token == 1)
    #expect(try file.open(.readOnly).currentLease() == .current)
    let other = try file.open()
    try expectHeld(by: .current, untilKnown: false) { _ = try other.acquire() }
    try expectHeld(by: .current, untilKnown: false) { _ = try journal.acquire() }
    journal.release(first)
    #expect(try journal.currentLease() == nil)
    #expect(try other.acquire().token == 2)
  }

  @Test func `A lease whose process died on this host is taken over at once`() throws {
    do { _ = try file.open().acquire(dead, for: .seconds(3600)) }
    #expect(try journal.currentLease() == nil)
    #expect(try journal.acquire().token == 2)
  }

  @Test func `A lease that this process lost without a release is taken over at once`() throws {
    do { _ = try file.open().acquire(for: .seconds(3600)) }
    #expect(try journal.acquire().token == 2)
  }

  @Test func `A lease of another host is taken over when it has run out`() throws {
    let elsewhere = LeaseHolder(host: "elsewhere", user: "lee", processID: 1)
    do { _ = try file.open().acquire(elsewhere, for: .milliseconds(300)) }
    #expect(try journal.currentLease() == elsewhere)
    try expectHeld(by: elsewhere, untilKnown: true) { _ = try journal.acquire() }
    Thread.sleep(forTimeInterval: 0.35)
    #expect(try journal.currentLease() == nil)
    #expect(try journal.acquire().token == 2)
  }

  @Test func `A live process of this host is waited for even without its lock`() throws {
    let alive = LeaseHolder(host: here, user: "root", processID: 1)
    do { _ = try file.open().acquire(alive) }
    try expectHeld(by: alive, untilKnown: true) { _ = try journal.acquire() }
  }

  @Test func `An engine that runs is at work, however far a clock has jumped`() throws {
    let lease = try journal.acquire(for: .milliseconds(1))
    Thread.sleep(forTimeInterval: 0.01)
    let other = try file.open()
    #expect(try other.currentLease() == .current)
    #expect(try other.lastLease().isLive)
    try expectHeld(by: .current, untilKnown: false) { _ = try other.acquire() }
    journal.release(lease)
    #expect(try other.currentLease() == nil)
  }

  @Test func `Renewing keeps the lease`() throws {
    let other = try file.open()
    let elsewhere = LeaseHolder(host: "elsewhere", user: "lee", processID: 1)
    let lease = try other.acquire(elsewhere, for: .milliseconds(100))
    try other.renew(lease, duration: .seconds(60))
    Thread.sleep(forTimeInterval: 0.15)
    #expect(try journal.currentLease() == elsewhere)
  }

  @Test func `An engine that lost its lease can write nothing`() throws {
    let elsewhere = LeaseHolder(host: "elsewhere", user: "lee", processID: 1)
    let old = try journal.acquire(elsewhere, for: .milliseconds(1))
    let partition = try journal.registerPartition(
      source: TopicPartition("a", 0), target: TopicPartition("a", 0), lease: old)
    // Two hosts whose file system does not share locks.
    try FileManager.default.removeItem(atPath: "\(file.path).lock")
    Thread.sleep(forTimeInterval: 0.01)
    let other = try file.open()
    let new = try other.acquire()
    try expectFenced(journal, old, partition, by: .current)
    try other.append([NewEvent(kind: "still here")], lease: new)
    journal.release(old)
    #expect(try other.currentLease() == .current)
    other.release(new)
    try expectFenced(other, new, partition, by: nil)
    #expect(try journal.events().map(\.kind) == ["still here"])
  }

  @Test func `Programs that the engine starts do not inherit the lock`() throws {
    let lease = try journal.acquire()
    let child = Process()
    child.executableURL = URL(filePath: "/bin/sleep")
    child.arguments = ["30"]
    try child.run()
    defer { child.terminate() }
    journal.release(lease)
    #expect(try file.open().acquire().token == 2)
  }

  private var dead: LeaseHolder { LeaseHolder(host: here, user: "kim", processID: .max) }

  private func expectHeld(
    by holder: LeaseHolder, untilKnown: Bool, _ body: () throws -> Void
  ) throws {
    let error = try #require(#expect(throws: JournalError.self) { try body() })
    guard case .held(holder, .some, let until) = error, (until != nil) == untilKnown else {
      Issue.record("got \(error)")
      return
    }
  }

  private func expectFenced(
    _ journal: MigrationJournal, _ lease: Lease, _ partition: PartitionID, by holder: LeaseHolder?
  ) throws {
    let place = TopicPartition("b", 0)
    let segment = OffsetSegment(sourceStart: Offset(0), targetStart: Offset(0), count: 1)
    let writes: [() throws -> Void] = [
      { try journal.append([NewEvent(kind: "x")], lease: lease) },
      { try journal.append([], lease: lease) },
      { _ = try journal.registerPartition(source: place, target: place, lease: lease) },
      {
        try journal.appendMap(
          [MapCheckpoint(partition: partition, segments: [segment])], lease: lease)
      },
      {
        try journal.truncateMap(
          partition, to: Offset(0), on: .target, lastDigest: nil, lease: lease)
      },
      {
        try journal.recordValidated(
          partition: partition, sourceRange: Offset(0)..<Offset(1), records: 1, digest: .zero,
          lease: lease)
      },
      { try journal.publishStatus("{}", lease: lease) },
      { try journal.setFact("plan", "x", lease: lease) },
      { try journal.renew(lease, duration: .seconds(1)) },
    ]
    for write in writes { #expect(throws: JournalError.fenced(by: holder)) { try write() } }
  }
}
