import Kafka
import KafkaModel
import Mirror
import TestSupport
import Testing

@Suite("Budgets and the order of the backfill", .serialized)
struct BudgetTests {
  private static func records(_ count: Int, seed: UInt64) -> [Record] {
    var generator = RecordGenerator(seed: seed)
    return generator.records(count, valueBytes: 150...250)
  }

  /// Everything that is left at the start is backfill.
  private static var allBackfill: LaneLimits {
    var limits = LaneLimits()
    limits.nearEnd = 0
    return limits
  }

  @Test(
    "The set rate is kept within 5 % over ten seconds, and shared fairly whatever records there are"
  )
  func rate() async throws {
    let rate = 150_000.0
    let fixture = try await MirrorFixture(partitions: 3)
    var generator = RecordGenerator(seed: 41)
    let records = [50, 250, 2000].map { size in
      generator.records(2_600_000 / size, valueBytes: (size - 10)...(size + 10))
    }
    for (partition, records) in zip(fixture.sources, records) {
      try await fixture.write(records, on: .source, to: partition)
    }
    let created = ContinuousClock.now
    let budgets = MirrorBudgets(backfill: Int64(rate))
    let running = fixture.start(budgets: budgets, lanes: 3, limits: Self.allBackfill)
    func bytes() -> [Double] {
      fixture.sources.map { Double(running.replicator.progress.all[$0]?.bytes ?? 0) }
    }
    for partition in fixture.sources { try await running.until(partition) { $0.records > 0 } }
    for attempt in 1...3 {
      let start = (ContinuousClock.now, bytes())
      var isDisturbed = false
      while ContinuousClock.now - start.0 < .seconds(10) {
        let asleep = ContinuousClock.now
        try await Task.sleep(for: .milliseconds(20))
        isDisturbed = isDisturbed || ContinuousClock.now - asleep > .milliseconds(100)
      }
      let shares = zip(bytes(), start.1).map { $0 - $1 }
      let sum = shares.reduce(0, +)
      let now = ContinuousClock.now
      // No load makes more bytes be written than were allowed since the budget was made.
      let most = rate * ((now - created) / .seconds(1)) * 1.05
      #expect(start.1.reduce(0, +) + sum <= most)
      // Fewer are, where the machine had no time: such ten seconds say nothing.
      let kept = sum / ((now - start.0) / .seconds(1)) / rate
      let isFair = shares.allSatisfy { abs($0 / sum * 3 - 1) < 0.15 }
      if abs(kept - 1) <= 0.05, isFair { break }
      guard isDisturbed else {
        Issue.record("\(kept) of the rate, shares were \(shares)")
        break
      }
      print("attempt \(attempt): the machine was too busy to tell; \(kept) of the rate, \(shares)")
    }
    // Changed while running.
    budgets.backfill.bytesPerSecond = nil
    try await fixture.expectAllCopied(by: running, records)
  }

  @Test("Backfill that has no budget left does not hold up the tail, in one and the same lane")
  func tailGoesOn() async throws {
    let fixture = try await MirrorFixture(partitions: 2)
    let (old, new) = (fixture.sources[0], fixture.sources[1])
    let history = Self.records(3000, seed: 42)
    try await fixture.write(history, on: .source, to: old)
    let budgets = MirrorBudgets(backfill: 1000)
    let running = fixture.start(budgets: budgets, limits: Self.allBackfill)
    try await running.until(old) { $0.records > 0 }
    let fresh = Self.records(500, seed: 43)
    try await fixture.write(fresh, on: .source, to: new)
    try await running.until(new) { $0.position == Offset(500) }
    #expect(running.replicator.progress.all[old]!.position < Offset(3000))
    budgets.backfill.bytesPerSecond = nil
    try await running.until(old) { $0.isAtEnd && $0.position == Offset(3000) }
    // What has met its end is tail, and has nothing to do with the budget any more.
    budgets.backfill.bytesPerSecond = 1
    let late = Self.records(200, seed: 44)
    try await fixture.write(late, on: .source, to: old)
    try await running.until(old) { $0.position == Offset(3200) }
    try await running.stop()
    try await fixture.expectExact(old, history + late)
    try await fixture.expectExact(new, fresh)
  }

  @Test("Whoever waits for the mirror need not wait for the backfill's budget")
  func hurry() async throws {
    let fixture = try await MirrorFixture()
    let records = Self.records(2000, seed: 45)
    try await fixture.write(records, on: .source, to: fixture.source)
    let running = fixture.start(
      budgets: MirrorBudgets(backfill: 100), limits: Self.allBackfill)
    try await running.until(fixture.source) { $0.records > 0 }
    #expect(running.replicator.progress.all[fixture.source]!.position < Offset(2000))
    await running.replicator.hurry()
    try await running.until(fixture.source) { $0.position == Offset(2000) }
    try await running.stop()
    try await fixture.expectExact(fixture.source, records)
  }

  @Test("Backfill of higher priority goes first, over all lanes", arguments: [1, 2])
  func priority(lanes: Int) async throws {
    let fixture = try await MirrorFixture(partitions: 2)
    let first = fixture.sources[1]
    let records = Self.records(2000, seed: 46)
    for partition in fixture.sources {
      try await fixture.write(records, on: .source, to: partition)
    }
    let running = fixture.start(
      budgets: MirrorBudgets(backfill: 400_000), priority: { $0 == first ? 7 : 0 }, lanes: lanes,
      limits: Self.allBackfill)
    try await running.until(fixture.source) { $0.records > 0 }
    #expect(running.replicator.progress.all[first]?.position == Offset(2000))
    try await running.until(fixture.source) { $0.position == Offset(2000) }
    try await running.stop()
    for partition in fixture.sources { try await fixture.expectExact(partition, records) }
  }

  @Test("A gap that the plan accepts is noted with its range, and the mirror goes on behind it")
  func acceptedGap() async throws {
    let fixture = try await MirrorFixture()
    let records = Self.records(40, seed: 47)
    try await fixture.write(Array(records[..<10]), on: .source, to: fixture.source)
    try await fixture.mirror()
    try await fixture.write(Array(records[10...]), on: .source, to: fixture.source)
    try await Admin(fixture.connections[.source]!).deleteRecords(
      before: [fixture.source: Offset(25)])
    await fixture.store.setAcceptsGaps(true)
    #expect(try await fixture.mirror()[fixture.source]?.fault == nil)
    #expect(await fixture.store.gaps == [Offset(10)..<Offset(25)])
    try await expectGap(fixture, records, before: 10, behind: 25)
  }

  @Test("A gap met while mirroring is noted and passed in the same way")
  func gapWhileMirroring() async throws {
    let fixture = try await MirrorFixture(partitions: 2)
    let first = fixture.sources[1]
    let records = Self.records(400, seed: 48)
    for partition in fixture.sources {
      try await fixture.write(records, on: .source, to: partition)
    }
    await fixture.store.setAcceptsGaps(true)
    let budgets = MirrorBudgets(backfill: 2000)
    // The second one is not read as long as the first one takes.
    let running = fixture.start(
      budgets: budgets, priority: { $0 == first ? 1 : 0 }, limits: Self.allBackfill)
    try await running.until(first) { $0.records > 0 }
    try await Admin(fixture.connections[.source]!).deleteRecords(
      before: [fixture.source: Offset(300)])
    budgets.backfill.bytesPerSecond = nil
    for partition in fixture.sources {
      try await running.until(partition) { $0.position == Offset(400) || $0.fault != nil }
    }
    try await running.stop()
    #expect(await fixture.store.gaps == [Offset(0)..<Offset(300)])
    try await expectGap(fixture, records, before: 0, behind: 300)
    try await fixture.expectExact(first, records)
  }

  private func expectGap(
    _ fixture: MirrorFixture, _ records: [Record], before: Int, behind: Int
  ) async throws {
    let expected = Array(records[..<before]) + Array(records[behind...])
    #expect(try await fixture.read(fixture.target, on: .target) == expected)
    let map = try await fixture.store.map(of: fixture.source)
    #expect(map.recordCount == Int64(expected.count))
    // A commit on a lost record means the next one that there is.
    for offset in before...behind {
      #expect(
        map.translate(Offset(Int64(offset)), from: .source) == Offset(Int64(before)))
    }
  }
}
