import Kafka
import KafkaModel
import Mirror
import TestSupport
import Testing

/// What transactions leave in the origin's log, and retention takes from it.
@Suite("Copying rekeyed topics whose logs have holes and lose their beginning", .serialized)
struct RekeyLogTests {
  /// Values of the records that these transactions commit: see ``Sandbox/writeTransactions(_:to:on:)``.
  private static func committed(_ steps: [String]) -> Set<String> {
    var values: Set<String> = []
    var count = 0
    for step in steps {
      let records = Int(step.split(separator: ":")[1])!
      if step.hasPrefix("commit") { values.formUnion((count..<(count + records)).map(String.init)) }
      count += records
    }
    return values
  }

  private func transact(
    _ steps: [String], _ fixture: RekeyFixture, on role: ClusterRole
  ) async throws {
    try await Sandbox.shared.value.writeTransactions(
      steps, to: fixture.topic.partitions(on: role)[0].topic,
      partitions: fixture.topic.count(on: role), keys: 13, on: role)
  }

  /// noida-db keeps what was committed only of a producer that never aborts, so one commits and another
  /// aborts.
  @Test(
    "Of transactions all that was committed arrives, once and in order, and nothing else",
    arguments: Direction.allCases, [7, 100_000])
  func transactions(direction: Direction, records: Int) async throws {
    let fixture = try await RekeyFixture()
    let steps = [
      "abort:2", "commit:20", "abort:9", "commit:1", "abort:30", "commit:44", "commit:3",
      "abort:11",
    ]
    try await transact(steps, fixture, on: direction.origin)
    var limits = LaneLimits()
    limits.records = records
    #expect(try await fixture.mirror(direction, limits: limits) == nil)
    func values(_ role: ClusterRole) async throws -> [String] {
      try await fixture.records(role).map { String(decoding: $0.value ?? [], as: UTF8.self) }
    }
    #expect(Set(try await values(direction.destination)) == Self.committed(steps))
    #expect(try await values(direction.destination).count == 68)
    try await fixture.expectCutsExact(direction)
    // A round over holes is known again, whole or in part, and one more goes on behind it.
    await fixture.store.forgetLast(direction)
    #expect(try await fixture.mirror(direction, limits: limits) == nil)
    try await fixture.write(200..<230, on: direction.origin)
    #expect(try await fixture.mirror(direction, limits: limits) == nil)
    #expect(try await fixture.records(direction.destination).count == 98)
    try await fixture.expectCutsExact(direction)
  }

  /// Lets the origin drop what stands before some offsets.
  private func drop(before offsets: [Offset?], _ fixture: RekeyFixture) async throws {
    let names = fixture.topic.partitions(on: .source)
    var before: [TopicPartition: Offset] = [:]
    for (name, offset) in zip(names, offsets) { before[name] = offset }
    try await Admin(fixture.connections[.source]!).deleteRecords(before: before)
  }

  @Test("What the source drops behind the last cut was copied, and the copy goes on")
  func behind() async throws {
    let fixture = try await RekeyFixture()
    try await fixture.write(0..<300)
    #expect(try await fixture.mirror() == nil)
    let cut = await fixture.store.cuts.last!.source
    try await drop(before: [cut[0], Offset(cut[1].rawValue / 2), nil], fixture)
    try await fixture.write(300..<400)
    #expect(try await fixture.mirror() == nil)
    try await fixture.expectExact(400, on: .target)
    // Of a round that is known and no longer there as a whole, too.
    try await drop(before: await fixture.store.cuts.last!.source, fixture)
    #expect(try await fixture.mirror() == nil)
    try await fixture.write(400..<450)
    #expect(try await fixture.mirror() == nil)
    try await fixture.expectExact(450, on: .target)
  }

  @Test("Dropping what only markers and aborted records follow is no gap")
  func markers() async throws {
    let fixture = try await RekeyFixture()
    try await transact(["commit:40", "abort:7", "commit:5", "abort:3"], fixture, on: .source)
    #expect(try await fixture.mirror() == nil)
    // A slow broker gives the records out in several rounds.
    let cuts = await fixture.store.cuts
    #expect(cuts.reduce(0) { $0 + $1.records } == 45)
    #expect(cuts.last?.records == 0)
    #expect(cuts.last?.target == cuts.dropLast().last?.target)
    // Started again, it looks at the round before.
    #expect(try await fixture.mirror() == nil)
    try await drop(before: try await fixture.ends(.source), fixture)
    #expect(try await fixture.mirror() == nil)
    try await fixture.write(100..<150)
    #expect(try await fixture.mirror() == nil)
    #expect(try await fixture.records(.target).count == 95)
  }

  @Test(
    "What the source drops of a round that was begun stops the topic, with its offsets",
    arguments: [0, 40], [1, 30])
  func within(stored: Int, dropped: Int64) async throws {
    let fixture = try await RekeyFixture()
    try await fixture.write(0..<100)
    #expect(try await fixture.mirror() == nil)
    let cut = await fixture.store.cuts.last!
    try await fixture.write(100..<300)
    try await fixture.dieWithinRound(behind: cut, storing: stored)
    let written = try await fixture.ends(.target)
    try await drop(before: [nil, cut.source[1] + dropped, nil], fixture)
    let gap = MirrorFault.retentionGap(
      origin: fixture.topic.partitions(on: .source)[1], from: cut.source[1],
      to: cut.source[1] + dropped)
    #expect(try await fixture.mirror() == gap)
    // And again: it stays so, and nothing was written or noted.
    #expect(try await fixture.mirror() == gap)
    #expect(try await fixture.ends(.target) == written)
    #expect(await fixture.store.cuts.last == cut)
  }

  @Test("What the source drops ahead of the mirror stops the topic, with the lost offsets")
  func ahead() async throws {
    let fixture = try await RekeyFixture()
    try await fixture.write(0..<100)
    #expect(try await fixture.mirror() == nil)
    let cut = await fixture.store.cuts.last!
    try await fixture.write(100..<300)
    try await drop(before: [nil, nil, cut.source[2] + 17], fixture)
    #expect(
      try await fixture.mirror()
        == .retentionGap(
          origin: fixture.topic.partitions(on: .source)[2], from: cut.source[2],
          to: cut.source[2] + 17))
    try await fixture.expectExact(100, on: .target)
  }

  @Test(
    "What the source drops while the mirror works stops it with the lost offsets, and nothing else is lost"
  )
  func aheadWhileRunning() async throws {
    let fixture = try await RekeyFixture()
    try await fixture.write(0..<3000)
    // Reads in small portions, and has read ahead by no more than librdkafka does.
    var limits = LaneLimits()
    limits.records = 20
    let budgets = MirrorBudgets(tail: 5000)
    let mirror = RekeyMirror(
      fixture.topic, direction: .forward, origin: fixture.connections[.source]!,
      destination: fixture.connections[.target]!, store: fixture.store,
      settings: RekeyMirror.Settings(budgets: budgets, limits: limits), isUrgent: true,
      logger: fixture.connections[.source]!.logger)
    let task = Task { try await mirror.run() }
    let deadline = ContinuousClock.now + .seconds(60)
    while await fixture.store.cuts.count < 3, .now < deadline {
      try await Task.sleep(for: .milliseconds(20))
    }
    try await fixture.write(3000..<6000)
    let ends = try await fixture.ends(.source)
    let kept = try await fixture.records(.source)
    try await drop(before: ends.map { Offset($0.rawValue - 10) }, fixture)
    budgets.tail.bytesPerSecond = nil
    func fault() -> MirrorFault? { mirror.progress.all.values.compactMap(\.fault).first }
    while fault() == nil, .now < deadline { try await Task.sleep(for: .milliseconds(20)) }
    await mirror.stop()
    try await task.value
    let cut = await fixture.store.cuts.last!
    guard case .retentionGap(let origin, let from, let to)? = fault() else {
      Issue.record("it went on: \(mirror.progress.all)")
      return
    }
    let index = fixture.topic.partitions(on: .source).firstIndex(of: origin)!
    #expect(from == cut.source[index] && to == Offset(ends[index].rawValue - 10))
    // All that was copied was there, and none of it twice.
    let copied = try await fixture.records(.target)
    #expect(Set(copied).isSubset(of: Set(kept)) && Set(copied).count == copied.count)
    #expect(copied.count == cut.source.reduce(0) { $0 + Int($1.rawValue) })
  }
}
