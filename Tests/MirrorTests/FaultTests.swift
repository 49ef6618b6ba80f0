import Kafka
import KafkaModel
import Mirror
import TestSupport
import Testing

@Suite("What stops a partition's mirror, and only that one", .serialized)
struct FaultTests {
  @Test("A foreign record that was there before the mirror")
  func foreignBefore() async throws {
    let fixture = try await MirrorFixture(partitions: 2)
    var generator = RecordGenerator(seed: 21)
    let records = generator.records(20)
    for partition in fixture.sources {
      try await fixture.write(records, on: .source, to: partition)
    }
    let foreign = generator.records(1)
    try await fixture.write(foreign, on: .target, to: fixture.target)
    let progress = try await fixture.mirror()
    #expect(
      progress[fixture.source]?.fault
        == .foreignWrite(destination: fixture.target, at: Offset(0)))
    #expect(try await fixture.read(fixture.target, on: .target) == foreign)
    #expect(progress[fixture.sources[1]]?.fault == nil)
    try await fixture.expectExact(fixture.sources[1], records)
  }

  @Test("A foreign record that came while the mirror was stopped, behind records of its own")
  func foreignWhileStopped() async throws {
    let fixture = try await MirrorFixture(partitions: 2)
    var generator = RecordGenerator(seed: 22)
    let records = generator.records(30)
    for partition in fixture.sources {
      try await fixture.write(Array(records[..<20]), on: .source, to: partition)
    }
    try await fixture.mirror()
    for partition in fixture.sources {
      try await fixture.write(Array(records[20...]), on: .source, to: partition)
    }
    // Two of ours, as a killed mirror leaves them, and then somebody else's.
    try await fixture.write(
      records[20..<22] + generator.records(1), on: .target, to: fixture.target)
    let progress = try await fixture.mirror()
    #expect(
      progress[fixture.source]?.fault
        == .foreignWrite(destination: fixture.target, at: Offset(22)))
    #expect(try await fixture.store.map(of: fixture.source).recordCount == 22)
    #expect(try await fixture.bounds(fixture.target, on: .target).end == Offset(23))
    #expect(progress[fixture.sources[1]]?.fault == nil)
    try await fixture.expectExact(fixture.sources[1], records)
  }

  @Test("A foreign record that came while the mirror was running", arguments: [1, 2])
  func foreignWhileRunning(lanes: Int) async throws {
    let fixture = try await MirrorFixture(partitions: 2)
    var generator = RecordGenerator(seed: 23)
    let records = generator.records(40)
    for partition in fixture.sources {
      try await fixture.write(Array(records[..<20]), on: .source, to: partition)
    }
    let running = fixture.start(lanes: lanes)
    for partition in fixture.sources {
      try await running.until(partition) { $0.position == Offset(20) }
    }
    try await fixture.write(generator.records(1), on: .target, to: fixture.target)
    for partition in fixture.sources {
      try await fixture.write(Array(records[20...]), on: .source, to: partition)
    }
    try await running.until(fixture.source) { $0.fault != nil }
    try await running.until(fixture.sources[1]) { $0.position == Offset(40) }
    try await running.stop()
    let fault = MirrorFault.foreignWrite(destination: fixture.target, at: Offset(20))
    #expect(running.replicator.progress.all[fixture.source]?.fault == fault)
    #expect(try await fixture.store.map(of: fixture.source).recordCount == 20)
    try await fixture.expectExact(fixture.sources[1], records)
    // The next start says the same and writes nothing.
    let end = try await fixture.bounds(fixture.target, on: .target).end
    #expect(try await fixture.mirror()[fixture.source]?.fault == fault)
    #expect(try await fixture.bounds(fixture.target, on: .target).end == end)
  }

  @Test("A source topic that was created again, with other records or fewer", arguments: [30, 5])
  func originChanged(count: Int) async throws {
    let fixture = try await MirrorFixture()
    let other = try await MirrorFixture()
    var generator = RecordGenerator(seed: 24)
    try await fixture.write(generator.records(20), on: .source, to: fixture.source)
    try await fixture.mirror()
    try await fixture.write(generator.records(count), on: .source, to: other.source)
    await fixture.store.replace(fixture.source, by: other.source, target: fixture.target)
    let running = fixture.start(.forward, [other.source])
    try await running.until(other.source) { $0.fault != nil }
    try await running.stop()
    #expect(
      running.replicator.progress.all[other.source]?.fault
        == .originChanged(origin: other.source, at: Offset(count == 5 ? 5 : 19)))
    #expect(try await fixture.bounds(fixture.target, on: .target).end == Offset(20))
  }

  @Test("Records that were deleted before they were mirrored")
  func retentionGap() async throws {
    let fixture = try await MirrorFixture(partitions: 2)
    var generator = RecordGenerator(seed: 25)
    let records = generator.records(40)
    for partition in fixture.sources {
      try await fixture.write(Array(records[..<10]), on: .source, to: partition)
    }
    try await fixture.mirror()
    for partition in fixture.sources {
      try await fixture.write(Array(records[10...]), on: .source, to: partition)
    }
    // What was mirrored may go; what was not may not.
    try await Admin(fixture.connections[.source]!).deleteRecords(
      before: [fixture.source: Offset(25), fixture.sources[1]: Offset(10)])
    let progress = try await fixture.mirror()
    #expect(
      progress[fixture.source]?.fault
        == .retentionGap(origin: fixture.source, from: Offset(10), to: Offset(25)))
    #expect(try await fixture.bounds(fixture.target, on: .target).end == Offset(10))
    #expect(progress[fixture.sources[1]]?.fault == nil)
    try await fixture.expectExact(fixture.sources[1], records)
  }

  @Test("A target that lost its tail gets it again")
  func lostTail() async throws {
    let fixture = try await MirrorFixture()
    let other = try await MirrorFixture()
    var generator = RecordGenerator(seed: 26)
    let records = generator.records(50)
    try await fixture.write(records, on: .source, to: fixture.source)
    try await fixture.mirror()
    try await fixture.write(Array(records[..<30]), on: .target, to: other.target)
    await fixture.store.replace(fixture.source, by: fixture.source, target: other.target)
    let progress = try await fixture.mirror()
    #expect(progress[fixture.source]?.fault == nil)
    let running = fixture.start()
    try await running.until(fixture.source) { $0.position == Offset(50) }
    try await running.stop()
    #expect(try await fixture.read(other.target, on: .target) == records)
    #expect(try await fixture.store.map(of: fixture.source).recordCount == 50)
  }

  @Test("A target that lost its tail gets it again, though the source has dropped all before it")
  func lostTailBehindHead() async throws {
    let fixture = try await MirrorFixture()
    let other = try await MirrorFixture()
    var generator = RecordGenerator(seed: 28)
    let records = generator.records(50)
    try await fixture.write(records, on: .source, to: fixture.source)
    try await fixture.mirror()
    try await fixture.write(Array(records[..<30]), on: .target, to: other.target)
    await fixture.store.replace(fixture.source, by: fixture.source, target: other.target)
    try await Admin(fixture.connections[.source]!).deleteRecords(
      before: [fixture.source: Offset(30)])
    #expect(try await fixture.mirror()[fixture.source]?.fault == nil)
    #expect(try await fixture.read(other.target, on: .target) == records)
    #expect(try await fixture.store.map(of: fixture.source).recordCount == 50)
  }

  @Test(
    "Records that were stored but not noted, and that the target has dropped since",
    arguments: [25, 40])
  func droppedUnnoted(before end: Int) async throws {
    let fixture = try await MirrorFixture()
    var generator = RecordGenerator(seed: 29)
    let records = generator.records(50)
    try await fixture.write(Array(records[..<20]), on: .source, to: fixture.source)
    try await fixture.mirror()
    await fixture.store.setForgetful(true)
    try await fixture.write(Array(records[20..<40]), on: .source, to: fixture.source)
    try await fixture.mirror()
    await fixture.store.setForgetful(false)
    try await fixture.write(Array(records[40...]), on: .source, to: fixture.source)
    try await Admin(fixture.connections[.target]!).deleteRecords(
      before: [fixture.target: Offset(Int64(end))])
    let running = fixture.start()
    try await running.until(fixture.source) { $0.position == Offset(50) || $0.fault != nil }
    try await running.stop()
    let fault = running.replicator.progress.all[fixture.source]?.fault
    let map = try await fixture.store.map(of: fixture.source)
    if end == 25 {
      // Those that are left show which ones those before them were.
      #expect(fault == nil)
      #expect(map.recordCount == 50)
      #expect(
        try await PartitionReader(fixture.connections[.target]!)
          .records(of: fixture.target, from: Offset(25)).map(\.record) == Array(records[25...]))
    } else {
      guard case .unreadable(fixture.target, _)? = fault else {
        Issue.record("stopped with \(fault as Any)")
        return
      }
      #expect(map.recordCount == 20)
      #expect(try await fixture.bounds(fixture.target, on: .target).end == Offset(40))
    }
  }

  @Test("A target that lost more than the mirror wrote")
  func truncatedBelowBase() async throws {
    let fixture = try await MirrorFixture()
    let other = try await MirrorFixture()
    var generator = RecordGenerator(seed: 27)
    let records = generator.records(20)
    try await fixture.write(generator.records(5), on: .target, to: fixture.target)
    await fixture.store.arm(.forward, fixture.source, readingFrom: Offset(0), base: Offset(5))
    try await fixture.write(records, on: .source, to: fixture.source)
    try await fixture.mirror()
    try await fixture.write(Array(records[..<3]), on: .target, to: other.target)
    await fixture.store.replace(fixture.source, by: fixture.source, target: other.target)
    let running = fixture.start()
    try await running.until(fixture.source) { $0.fault != nil }
    try await running.stop()
    #expect(
      running.replicator.progress.all[fixture.source]?.fault
        == .destinationTruncated(
          destination: other.target, end: Offset(3), expected: Offset(25)))
    #expect(try await fixture.bounds(other.target, on: .target).end == Offset(3))
  }
}

@Suite("Copying through a bad network", .serialized)
struct NetworkTests {
  enum Trouble: String, CaseIterable, Sendable {
    case targetCut, sourceCut, answerBroken, requestBroken, fetchBroken, blackHole, delay, paused
  }

  @Test(
    "Every record arrives, in order, once", .enabled(if: Sandbox.canDisturb),
    arguments: Trouble.allCases)
  func exact(trouble: Trouble) async throws {
    let fixture = try await MirrorFixture()
    let sandbox = fixture.sandbox
    var generator = RecordGenerator(seed: 31)
    let records = generator.records(5000)
    try await fixture.write(records, on: .source, to: fixture.source)
    let running = fixture.start(bytesPerSecond: 250_000)
    try await running.until(fixture.source) { $0.records > 0 }
    do {
      try await cause(trouble, sandbox)
      try await running.until(fixture.source) { $0.position == Offset(5000) || $0.fault != nil }
    } catch {
      try? await heal(sandbox)
      throw error
    }
    try await heal(sandbox)
    try await running.stop()
    #expect(running.replicator.progress.all[fixture.source]?.fault == nil)
    try await fixture.expectExact(fixture.source, records)
  }

  @Test(
    "A stop whose last answer leaves records in doubt says so, and the next start judges them",
    .enabled(if: Sandbox.canDisturb))
  func stopInDoubt() async throws {
    let fixture = try await MirrorFixture()
    let sandbox = fixture.sandbox
    var generator = RecordGenerator(seed: 32)
    let records = generator.records(30)
    try await fixture.write(Array(records[..<20]), on: .source, to: fixture.source)
    let running = fixture.start()
    try await running.until(fixture.source) { $0.position == Offset(20) }
    let pastProxy = await sandbox.connection(.target, pastProxy: true)
    try await RecordWriter(pastProxy).write(
      generator.records(1), to: fixture.target, patience: .seconds(60))
    // The mirror's records are stored, behind the foreign one, and the answer is under way.
    try await sandbox.disturb(.target, "delay", ["ms": 1500])
    do {
      try await fixture.write(Array(records[20...]), on: .source, to: fixture.source)
      try await fixture.untilCopied(22, by: Admin(pastProxy))
      try await running.stop()
    } catch {
      try? await heal(sandbox)
      throw error
    }
    try await heal(sandbox)
    #expect(running.log.all.contains { $0.contains("compares what is in doubt") })
    #expect(try await fixture.store.map(of: fixture.source).recordCount == 20)
    #expect(
      try await fixture.mirror()[fixture.source]?.fault
        == .foreignWrite(destination: fixture.target, at: Offset(20)))
  }

  private func heal(_ sandbox: Sandbox) async throws {
    for role in ClusterRole.allCases { try await sandbox.disturb(role, "heal") }
  }

  private func cause(_ trouble: Trouble, _ sandbox: Sandbox) async throws {
    func pause() async throws { try await Task.sleep(for: .milliseconds(200)) }
    switch trouble {
    case .targetCut, .sourceCut:
      for _ in 0..<4 {
        try await sandbox.disturb(trouble == .targetCut ? .target : .source, "cut")
        try await pause()
      }
    case .answerBroken, .requestBroken:
      for bytes in [0, 6, 30] {
        try await sandbox.disturb(
          .target, "breakframe",
          [
            "direction": trouble == .answerBroken ? "down" : "up", "after_bytes": bytes,
            "api": "produce",
          ])
        try await pause()
      }
    case .fetchBroken:
      try await sandbox.disturb(
        .source, "breakframe", ["direction": "down", "after_bytes": 50, "api": "fetch"])
    case .blackHole:
      try await sandbox.disturb(.target, "blackhole", ["direction": "both", "on": true])
      try await Task.sleep(for: .seconds(2))
      try await sandbox.disturb(.target, "heal")
    case .delay:
      for role in ClusterRole.allCases { try await sandbox.disturb(role, "delay", ["ms": 60]) }
    case .paused:
      // Paused rather than killed: a broker that loses what it acknowledged is another story.
      try await sandbox.disturb(.target, "pause")
      try await Task.sleep(for: .seconds(1))
      try await sandbox.disturb(.target, "cont")
    }
  }
}
