import Kafka
import KafkaModel
import Mirror
import TestSupport
import Testing

@Suite("Checkpoints of a lane", .serialized)
struct CheckpointTests {
  /// Records, of which the first fifty are copied while the first checkpoint that knows of some hangs.
  private struct HeldUp {
    let fixture: MirrorFixture
    let running: RunningMirror
    let records: [Record]

    init(seed: UInt64) async throws {
      fixture = try await MirrorFixture()
      var generator = RecordGenerator(seed: seed)
      records = generator.records(100)
      try await fixture.write(Array(records[..<50]), on: .source, to: fixture.source)
      await fixture.store.hold()
      running = fixture.start()
      try await fixture.until { await fixture.store.heldCount == 1 }
      try await fixture.untilCopied(50)
    }

    /// Writes the others, and waits until they are copied as well.
    func copyRest() async throws {
      try await fixture.write(Array(records[50...]), on: .source, to: fixture.source)
      try await fixture.untilCopied(100)
    }
  }

  @Test("A mirror copies on while a checkpoint waits for its disk, and tells of it afterwards")
  func copiesOn() async throws {
    let heldUp = try await HeldUp(seed: 61)
    let (fixture, running) = (heldUp.fixture, heldUp.running)
    try await heldUp.copyRest()
    #expect(await fixture.store.heldCount == 1, "one at a time")
    #expect(try await fixture.store.map(of: fixture.source).recordCount == 0)
    #expect(running.replicator.progress.all[fixture.source]?.position == Offset(0))
    await fixture.store.release()
    try await fixture.expectAllCopied(by: running, [heldUp.records])
  }

  @Test("A stop waits for the checkpoint that is on its way, and for what came meanwhile")
  func stops() async throws {
    let heldUp = try await HeldUp(seed: 62)
    let fixture = heldUp.fixture
    try await heldUp.copyRest()
    await heldUp.running.replicator.stop()
    await fixture.store.release()
    try await heldUp.running.task.value
    try await fixture.expectExact(fixture.source, heldUp.records)
  }

  @Test("Nothing is noted behind a checkpoint that was refused: it would leave a hole in the map")
  func refused() async throws {
    let heldUp = try await HeldUp(seed: 63)
    let fixture = heldUp.fixture
    // Answers come meanwhile, which the map must not know of.
    try await heldUp.copyRest()
    await fixture.store.refuseNext()
    await fixture.store.release()
    await #expect(throws: InMemoryMapStore.Failing.self) {
      try await heldUp.running.task.value
    }
    #expect(try await fixture.store.map(of: fixture.source).recordCount == 0)
    try await fixture.mirror()
    try await fixture.expectExact(fixture.source, heldUp.records)
  }
}
