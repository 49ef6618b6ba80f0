import Kafka
import KafkaModel
import Mirror
import TestSupport
import Testing

@Suite("Copying rekeyed topics", .serialized)
struct RekeyTests {
  @Test("A copy is exact, there and back, in small rounds")
  func exact() async throws {
    let fixture = try await RekeyFixture()
    try await fixture.write(0..<3000)
    var limits = LaneLimits()
    limits.records = 200
    #expect(try await fixture.mirror(limits: limits) == nil)
    try await fixture.expectExact(3000, on: .target)
    #expect(await fixture.store.cuts.count > 3)
    await fixture.store.arm()
    try await fixture.write(3000..<3500, on: .target)
    #expect(try await fixture.mirror(.reverse) == nil)
    try await fixture.expectExact(3500, on: .source)
    let ends = try await fixture.ends(.source)
    #expect(await fixture.store.cuts.last?.source == ends)
  }

  @Test("A round that was stored and not noted is known again", arguments: Direction.allCases)
  func whole(direction: Direction) async throws {
    let fixture = try await RekeyFixture()
    try await fixture.write(0..<500, on: direction.origin)
    #expect(try await fixture.mirror(direction) == nil)
    await fixture.store.forgetLast(direction)
    try await fixture.write(500..<700, on: direction.origin)
    #expect(try await fixture.mirror(direction) == nil)
    try await fixture.expectExact(700, on: direction.destination)
  }

  @Test("A round of which a part is stored is completed", arguments: [1, 17, 60, 140, 199])
  func part(stored: Int) async throws {
    let fixture = try await RekeyFixture()
    try await fixture.write(0..<100)
    #expect(try await fixture.mirror() == nil)
    try await fixture.write(100..<300)
    let cut = await fixture.store.cuts.last!
    try await fixture.dieWithinRound(behind: cut, storing: stored)
    try await fixture.write(300..<320)
    #expect(try await fixture.mirror() == nil)
    try await fixture.expectExact(320, on: .target)
  }

  @Test("What others write behind the last cut, or within a round, stops the topic")
  func foreign() async throws {
    let fixture = try await RekeyFixture()
    try await fixture.write(0..<100)
    #expect(try await fixture.mirror() == nil)
    let place = fixture.topic.partitions(on: .target)[3]
    let end = await fixture.store.cuts.last!.target[3]
    try await fixture.write(RekeyFixture.record(9999), to: place, on: .target)
    #expect(try await fixture.mirror() == .foreignWrite(destination: place, at: end))
    try await fixture.write(100..<300)
    try await fixture.store.begin(
      fixture.topic.source, .forward, to: try await fixture.ends(.source))
    #expect(try await fixture.mirror() == .foreignWrite(destination: place, at: end))
  }

  @Test("A foreign write while it runs stops the topic")
  func foreignWhileRunning() async throws {
    let fixture = try await RekeyFixture()
    try await fixture.write(0..<100)
    #expect(try await fixture.mirror() == nil)
    let place = fixture.topic.partitions(on: .target)[0]
    let end = await fixture.store.cuts.last!.target[0]
    let mirror = RekeyMirror(
      fixture.topic, direction: .forward, origin: fixture.connections[.source]!,
      destination: fixture.connections[.target]!, store: fixture.store,
      logger: fixture.connections[.source]!.logger)
    let task = Task { try await mirror.run() }
    let deadline = ContinuousClock.now + .seconds(20)
    while mirror.progress.all.isEmpty, .now < deadline {
      try await Task.sleep(for: .milliseconds(20))
    }
    try await fixture.write(RekeyFixture.record(9999), to: place, on: .target)
    try await fixture.write(100..<300)
    while !mirror.progress.all.values.contains(where: { $0.fault != nil }), .now < deadline {
      try await Task.sleep(for: .milliseconds(20))
    }
    #expect(
      mirror.progress.all.values.compactMap(\.fault)
        == [.foreignWrite(destination: place, at: end)])
    await mirror.stop()
    try await task.value
  }

  @Test("Rounds that the target lost are written again, exactly")
  func lostTail() async throws {
    let fixture = try await RekeyFixture()
    // The journal knows three rounds, the target has less: as if it had lost what it had not flushed.
    try await fixture.write(0..<300)
    var limits = LaneLimits()
    limits.records = 100
    #expect(try await fixture.mirror(limits: limits) == nil)
    let known = await fixture.store.cuts
    #expect(known.count > 2)
    let sandbox = try await Sandbox.shared.value
    let other = try await sandbox.topic(on: .target, partitions: 5, config: [:])
    let reader = try PartitionReader(fixture.connections[.target]!)
    for (number, name) in fixture.topic.partitions(on: .target).enumerated() {
      let kept = try await reader.records(of: name, from: Offset(0))
      // A part of each partition is left, of another length each.
      for (_, record) in kept.prefix(kept.count * (number + 1) / 7) {
        try await fixture.write(
          record, to: TopicPartition(other, Int32(number)), on: .target)
      }
    }
    let moved = RekeyFixture(fixture, target: other)
    #expect(try await moved.mirror() == nil)
    try await moved.expectExact(300, on: .target)
    #expect(await moved.store.cuts == known)
  }

  @Test("An origin that no longer holds what is next stops the topic")
  func changed() async throws {
    let fixture = try await RekeyFixture()
    try await fixture.write(0..<100)
    #expect(try await fixture.mirror() == nil)
    let sandbox = try await Sandbox.shared.value
    let other = try await sandbox.topic(on: .source, partitions: 3, config: [:])
    let moved = RekeyFixture(fixture, source: other)
    guard case .originChanged? = try await moved.mirror() else {
      Issue.record("it went on")
      return
    }
  }
}
