import Kafka
import KafkaModel
import Mirror
import TestSupport
import Testing

@Suite("A mirror that is connected ahead of its start", .serialized)
struct PreparedTests {
  private func replicator(_ fixture: MirrorFixture) -> Replicator {
    Replicator(
      direction: .forward, origin: fixture.connections[.source]!,
      destination: fixture.connections[.target]!, store: fixture.store, isUrgent: true,
      lanes: 2, logger: fixture.connections[.source]!.logger)
  }

  private func end(_ replicator: Replicator, _ task: Task<Void, any Error>) async throws {
    await replicator.stop()
    try await task.value
  }

  private func until(
    _ replicator: Replicator, _ condition: ([TopicPartition: PartitionProgress]) -> Bool
  ) async throws {
    let deadline = ContinuousClock.now + .seconds(60)
    while !condition(replicator.progress.all) {
      try #require(ContinuousClock.now < deadline, "\(replicator.progress.all)")
      try await Task.sleep(for: .milliseconds(20))
    }
  }

  @Test(
    "It writes nothing before it is started, and copies all that came until then",
    arguments: [false, true])
  func exact(isFresh: Bool) async throws {
    let fixture = try await MirrorFixture(partitions: 5)
    var generator = RecordGenerator(seed: 51)
    let records = generator.records(40)
    for partition in fixture.sources {
      try await fixture.write(Array(records[..<20]), on: .source, to: partition)
    }
    let mirror = replicator(fixture)
    try await mirror.prepare(fixture.sources)
    for partition in fixture.sources {
      try await fixture.write(Array(records[20...]), on: .source, to: partition)
      let bounds = try await fixture.bounds(fixture.targets[partition]!, on: .target)
      #expect(bounds.end == Offset(0))
    }
    let sources = fixture.sources
    let task = Task { try await mirror.run(sources, isFresh: isFresh) }
    try await until(mirror) { all in sources.allSatisfy { all[$0]?.position == Offset(40) } }
    try await end(mirror, task)
    for partition in sources { try await fixture.expectExact(partition, records) }
  }

  @Test("What others wrote after it was connected stops their partition, also at a fresh start")
  func foreign() async throws {
    let fixture = try await MirrorFixture(partitions: 4)
    var generator = RecordGenerator(seed: 52)
    let records = generator.records(10)
    for partition in fixture.sources {
      try await fixture.write(records, on: .source, to: partition)
    }
    let mirror = replicator(fixture)
    try await mirror.prepare(fixture.sources)
    let foreign = generator.records(1)
    try await fixture.write(foreign, on: .target, to: fixture.target)
    let sources = fixture.sources
    let task = Task { try await mirror.run(sources, isFresh: true) }
    try await until(mirror) { all in
      sources.allSatisfy { all[$0]?.position == Offset(10) || all[$0]?.fault != nil }
    }
    try await end(mirror, task)
    let fault = mirror.progress.all[fixture.source]?.fault
    #expect(fault == .foreignWrite(destination: fixture.target, at: Offset(0)))
    #expect(try await fixture.read(fixture.target, on: .target) == foreign)
    for partition in sources.dropFirst() { try await fixture.expectExact(partition, records) }
  }

  @Test("One that is given up before its start can be stopped, and leaves nothing behind")
  func givenUp() async throws {
    let fixture = try await MirrorFixture(partitions: 2)
    var generator = RecordGenerator(seed: 53)
    let records = generator.records(10)
    for partition in fixture.sources {
      try await fixture.write(records, on: .source, to: partition)
    }
    let mirror = replicator(fixture)
    try await mirror.prepare(fixture.sources)
    await mirror.stop()
    try await mirror.run(fixture.sources)
    for partition in fixture.sources {
      #expect(try await fixture.bounds(fixture.targets[partition]!, on: .target).end == Offset(0))
    }
    try await fixture.mirror()
    for partition in fixture.sources { try await fixture.expectExact(partition, records) }
  }
}
