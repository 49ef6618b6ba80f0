import Kafka
import KafkaModel
import Mirror
import TestSupport
import Testing

@Suite("Checkpoints of a lane", .serialized)
struct CheckpointTests {
  @Test("A mirror copies on while a checkpoint waits for its disk, and tells of it afterwards")
  func copiesOn() async throws {
    let fixture = try await MirrorFixture()
    var generator = RecordGenerator(seed: 61)
    let records = generator.records(200)
    try await fixture.write(Array(records[..<100]), on: .source, to: fixture.source)
    await fixture.store.setPause(.seconds(8))
    let running = fixture.start()
    try await fixture.untilCopied(100)
    // More than the checkpoint's interval: it has begun.
    try await Task.sleep(for: .milliseconds(500))
    try await fixture.write(Array(records[100...]), on: .source, to: fixture.source)
    let start = ContinuousClock.now
    try await fixture.untilCopied(200)
    #expect(ContinuousClock.now - start < .seconds(5), "the first checkpoint takes 8 s")
    #expect(try await fixture.store.map(of: fixture.source).recordCount == 0)
    #expect(running.replicator.progress.all[fixture.source]?.position == Offset(0))
    await fixture.store.setPause(nil)
    try await fixture.expectAllCopied(by: running, [records])
  }

  @Test("A stop waits for the checkpoint that is on its way, and for what came meanwhile")
  func stops() async throws {
    let fixture = try await MirrorFixture()
    var generator = RecordGenerator(seed: 62)
    let records = generator.records(100)
    try await fixture.write(Array(records[..<50]), on: .source, to: fixture.source)
    await fixture.store.setPause(.seconds(1))
    let running = fixture.start()
    try await fixture.untilCopied(50)
    try await Task.sleep(for: .milliseconds(500))
    try await fixture.write(Array(records[50...]), on: .source, to: fixture.source)
    try await fixture.untilCopied(100)
    try await running.stop()
    try await fixture.expectExact(fixture.source, records)
  }

  @Test("Nothing is noted behind a checkpoint that was refused: it would leave a hole in the map")
  func refused() async throws {
    let fixture = try await MirrorFixture()
    var generator = RecordGenerator(seed: 63)
    let records = generator.records(4000, valueBytes: 4000...8000)
    try await fixture.write(records, on: .source, to: fixture.source)
    // Meanwhile answers come, which the map must not know of.
    await fixture.store.setPause(.milliseconds(300))
    await fixture.store.refuseNext()
    var limits = LaneLimits()
    limits.checkpointInterval = .milliseconds(20)
    let running = fixture.start(limits: limits)
    await #expect(throws: InMemoryMapStore.Failing.self) { try await running.task.value }
    await fixture.store.setPause(nil)
    #expect(try await fixture.bounds(fixture.target, on: .target).end > Offset(0))
    #expect(try await fixture.store.map(of: fixture.source).recordCount == 0)
    try await fixture.mirror()
    try await fixture.expectExact(fixture.source, records)
  }
}

extension MirrorFixture {
  /// Waits until the first partition's copy holds `count` records.
  fileprivate func untilCopied(_ count: Int64) async throws {
    let deadline = ContinuousClock.now + .seconds(30)
    while try await bounds(target, on: .target).end < Offset(count) {
      try #require(ContinuousClock.now < deadline)
      try await Task.sleep(for: .milliseconds(20))
    }
  }
}
