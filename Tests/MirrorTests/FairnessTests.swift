import Kafka
import KafkaModel
import Mirror
import TestSupport
import Testing

/// What topics get of a rate that they share. A broker answers with a megabyte of a partition at once, or as
/// noida-db does with all of it, so that without further ado each topic's turn would last for seconds.
@Suite("Topics that share a budget", .serialized)
struct FairnessTests {
  private static func records(_ bytes: Int, of size: Int, seed: UInt64) -> [Record] {
    var generator = RecordGenerator(seed: seed)
    return generator.records(bytes / size, valueBytes: size...size)
  }

  /// Copies topics with enough records for a few seconds at a rate, and the rest of them without one.
  ///
  /// Returns: the bytes that each got in these seconds, as shares of the mean.
  private func shares(
    sizes: [Int], lanes: Int, isTail: Bool = false
  ) async throws -> [Double] {
    let rate = 600_000.0
    let fixture = try await MirrorFixture(topics: sizes.count)
    var written: [[Record]] = []
    for (partition, size) in zip(fixture.sources, sizes) {
      let records = Self.records(2_500_000, of: size, seed: UInt64(size))
      try await fixture.write(records, on: .source, to: partition)
      written.append(records)
    }
    var limits = LaneLimits()
    limits.nearEnd = isTail ? .max : 0
    let budgets = MirrorBudgets(
      backfill: isTail ? nil : Int64(rate), tail: isTail ? Int64(rate) : nil)
    let running = fixture.start(budgets: budgets, lanes: lanes, limits: limits)
    func bytes() -> [Double] {
      fixture.sources.map { Double(running.replicator.progress.all[$0]?.bytes ?? 0) }
    }
    let deadline = ContinuousClock.now + .seconds(60)
    while bytes().reduce(0, +) == 0 {
      try #require(ContinuousClock.now < deadline, "nothing is copied")
      try await Task.sleep(for: .milliseconds(20))
    }
    let start = bytes()
    // What each gets is told over this time.
    try await Task.sleep(for: .seconds(6))
    let shares = zip(bytes(), start).map { $0 - $1 }
    // Enough to tell, and nobody has had all that there was.
    #expect(shares.reduce(0, +) > rate * 3)
    #expect(bytes().allSatisfy { $0 < 2_300_000 })
    budgets.backfill.bytesPerSecond = nil
    budgets.tail.bytesPerSecond = nil
    try await fixture.expectAllCopied(by: running, written)
    let mean = shares.reduce(0, +) / Double(shares.count)
    return shares.map { $0 / mean }
  }

  @Test(
    "After six seconds three topics have had as much within 10 %, in one lane, in two and in three",
    arguments: [1, 2, 3])
  func equalRecords(lanes: Int) async throws {
    let shares = try await shares(sizes: [1000, 1000, 1000], lanes: lanes)
    #expect(shares.allSatisfy { abs($0 - 1) < 0.1 }, "shares were \(shares)")
  }

  @Test("So have topics whose records differ in size, and topics of a tail that has a rate")
  func otherRecords() async throws {
    let sizes = try await shares(sizes: [100, 5000, 700], lanes: 1)
    #expect(sizes.allSatisfy { abs($0 - 1) < 0.1 }, "shares were \(sizes)")
    let tails = try await shares(sizes: [800, 800, 800], lanes: 1, isTail: true)
    #expect(tails.allSatisfy { abs($0 - 1) < 0.1 }, "shares were \(tails)")
  }
}
