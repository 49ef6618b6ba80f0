import Kafka
import KafkaModel
import Mirror
import TestSupport
import Testing

/// Brokers compact before the mirror has noted what it wrote.
@Suite("Compaction between a write and its checkpoint", .serialized)
struct CompactionTests {
  private static let config = [
    "cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01", "segment.ms": "1000",
    "segment.bytes": "16384", "delete.retention.ms": "86400000",
  ]

  private func records(_ numbers: Range<Int>) -> [Record] {
    numbers.map { number in
      Record(
        key: Array("key-\(number % 9)".utf8),
        value: Array("\(number) \(String(repeating: "x", count: 150))".utf8),
        timestamp: 1_700_000_000_000 + Int64(number))
    }
  }

  private func offsets(
    _ partition: TopicPartition, _ role: ClusterRole, _ fixture: MirrorFixture
  ) async throws -> [Offset] {
    try await PartitionReader(fixture.connections[role]!)
      .digests(of: partition, from: Offset(0)).map(\.offset)
  }

  /// Writes and mirrors piece by piece, so that both logs have full segments: only those are
  /// compacted. No batch may be larger than a segment.
  private func mirror(_ records: ArraySlice<Record>, _ fixture: MirrorFixture) async throws {
    for start in stride(from: records.startIndex, to: records.endIndex, by: 50) {
      let piece = records[start..<min(start + 50, records.endIndex)]
      try await fixture.write(Array(piece), on: .source, to: fixture.source)
      try await fixture.mirror()
    }
  }

  /// Kafka's cleaner comes by every 15 s; noida's when something is written.
  private func waitForCompaction(
    _ partition: TopicPartition, _ role: ClusterRole, below count: Int, _ fixture: MirrorFixture
  ) async throws {
    let deadline = ContinuousClock.now + .seconds(90)
    while try await offsets(partition, role, fixture).count >= count {
      try #require(ContinuousClock.now < deadline, "the \(role) does not compact")
      try await Task.sleep(for: .milliseconds(500))
    }
  }

  @Test(
    "A killed mirror's records are its own, and it goes on behind them", arguments: [false, true])
  func unnoted(withLaterRecords: Bool) async throws {
    let fixture = try await MirrorFixture(config: Self.config)
    let all = records(0..<650)
    try await mirror(all[..<100], fixture)
    // Nothing that is written from here on is noted.
    await fixture.store.setForgetful(true)
    try await mirror(all[100..<600], fixture)
    await fixture.store.setForgetful(false)
    try await waitForCompaction(fixture.target, .target, below: 350, fixture)
    if withLaterRecords {
      try await fixture.write(Array(all[600...]), on: .source, to: fixture.source)
    }
    try await waitForCompaction(fixture.source, .source, below: 350, fixture)

    let progress = try await fixture.mirror()
    #expect(progress[fixture.source]?.fault == nil)
    let written = withLaterRecords ? 650 : 600
    #expect(progress[fixture.source]?.records ?? 0 <= Int64(written - 600))
    // What stands last of each key is the same on both sides, and nothing was written twice.
    var latest: [ClusterRole: [[UInt8]?: Record]] = [:]
    for (role, partition) in [(ClusterRole.source, fixture.source), (.target, fixture.target)] {
      let found = try await fixture.read(partition, on: role)
      #expect(Set(found).count == found.count)
      latest[role] = Dictionary(found.map { ($0.key, $0) }) { _, last in last }
    }
    #expect(latest[.source] == latest[.target])
    #expect(latest[.target]?.count == 9)
    // Compaction apart nothing has moved: offsets are the same on both sides.
    let map = try await fixture.store.map(of: fixture.source)
    for offset in try await offsets(fixture.source, .source, fixture) {
      #expect(map.translate(offset, from: .source) == offset)
    }
    #expect(map.end(on: .target) == Offset(Int64(written)))
    #expect(try await fixture.bounds(fixture.target, on: .target).end == Offset(Int64(written)))
  }

  @Test("A foreign record behind a compacted tail stops the mirror")
  func foreign() async throws {
    let fixture = try await MirrorFixture(config: Self.config)
    await fixture.store.setForgetful(true)
    try await mirror(records(0..<600)[...], fixture)
    await fixture.store.setForgetful(false)
    let foreign = Record(key: Array("stranger".utf8), value: [1], timestamp: 1_700_000_001_000)
    try await fixture.write([foreign], on: .target, to: fixture.target)
    try await waitForCompaction(fixture.target, .target, below: 350, fixture)
    let progress = try await fixture.mirror()
    guard case .foreignWrite(fixture.target, _) = progress[fixture.source]?.fault else {
      Issue.record("not stopped: \(String(describing: progress[fixture.source]))")
      return
    }
  }
}
