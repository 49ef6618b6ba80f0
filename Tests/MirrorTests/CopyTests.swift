import Kafka
import KafkaModel
import Mirror
import TestSupport
import Testing

@Suite("Copying partitions", .serialized)
struct CopyTests {
  @Test("A copy is exact, on every partition, with several lanes")
  func exact() async throws {
    let fixture = try await MirrorFixture(partitions: 3)
    var generator = RecordGenerator(seed: 11)
    let records = fixture.sources.map { _ in generator.records(1500) }
    for (partition, records) in zip(fixture.sources, records) {
      try await fixture.write(records, on: .source, to: partition)
    }
    let running = fixture.start(lanes: 2)
    for partition in fixture.sources {
      try await running.until(partition) { $0.position == Offset(1500) && $0.isAtEnd }
    }
    // What arrives later is copied as well.
    let late = generator.records(10)
    try await fixture.write(late, on: .source, to: fixture.source)
    try await running.until(fixture.source) { $0.position == Offset(1510) }
    try await running.stop()
    try await fixture.expectExact(fixture.source, records[0] + late)
    try await fixture.expectExact(fixture.sources[1], records[1])
    try await fixture.expectExact(fixture.sources[2], records[2])
  }

  @Test("Records that were stored but not noted are recognised, and nothing is copied twice")
  func adoption() async throws {
    let fixture = try await MirrorFixture()
    var generator = RecordGenerator(seed: 12)
    let records = generator.records(600)
    try await fixture.write(Array(records[..<200]), on: .source, to: fixture.source)
    try await fixture.mirror()
    await fixture.store.setForgetful(true)
    try await fixture.write(Array(records[200..<500]), on: .source, to: fixture.source)
    try await fixture.mirror()
    await fixture.store.setForgetful(false)
    #expect(try await fixture.store.map(of: fixture.source).recordCount == 200)
    #expect(try await fixture.bounds(fixture.target, on: .target).end == Offset(500))
    try await fixture.write(Array(records[500...]), on: .source, to: fixture.source)
    let progress = try await fixture.mirror()
    #expect(progress[fixture.source]?.fault == nil)
    #expect(progress[fixture.source]?.records == 100, "300 were there, 100 were copied")
    try await fixture.expectExact(fixture.source, records)
  }

  @Test(
    "A target with a small limit takes every record that fits it, one with a large limit a large one"
  )
  func sizes() async throws {
    let fixture = try await MirrorFixture()
    let sandbox = fixture.sandbox
    let source = fixture.source
    var generator = RecordGenerator(seed: 14)
    let small = generator.records(300, valueBytes: 500...900)
    try await fixture.write(small, on: .source, to: source)
    let admin = try Admin(fixture.connections[.target]!)
    try await admin.setConfigs(
      ["max.message.bytes": "4000", "segment.bytes": "3000"], of: fixture.target.topic)
    try await fixture.mirror()
    try await fixture.expectExact(source, small)
    // Refused at a limit, named by its offset, and taken once the limit is raised.
    let large = Record(key: nil, value: Array(repeating: 7, count: 3_000_000), timestamp: 1)
    let sourceAdmin = try Admin(fixture.connections[.source]!)
    try await sourceAdmin.setConfigs(["max.message.bytes": "8000000"], of: source.topic)
    let properties = ["message.max.bytes": "8000000"]
    try await RecordWriter(
      await sandbox.connection(.source, properties: properties)
    ).write([large], to: source, patience: .seconds(60))
    let progress = try await fixture.mirror()
    guard case .refused(_, let offset, _) = progress[source]?.fault else {
      Issue.record("not refused: \(String(describing: progress[source]))")
      return
    }
    #expect(offset == Offset(300))
    try await admin.setConfigs(
      ["max.message.bytes": "8000000", "segment.bytes": "9000000"], of: fixture.target.topic)
    try await fixture.mirror()
    try await fixture.expectExact(source, small + [large])
  }

  @Test("A stop in the middle leaves nothing in doubt")
  func stopMidway() async throws {
    let fixture = try await MirrorFixture()
    var generator = RecordGenerator(seed: 13)
    let records = generator.records(4000)
    try await fixture.write(records, on: .source, to: fixture.source)
    let running = fixture.start(bytesPerSecond: 100_000)
    try await running.until(fixture.source) { $0.records > 0 }
    try await running.stop()
    let map = try await fixture.store.map(of: fixture.source)
    #expect(try await fixture.bounds(fixture.target, on: .target).end == map.end(on: .target))
    #expect(
      try await fixture.store.state(of: fixture.source, .forward).position == map.end(on: .source))
    try await fixture.mirror()
    try await fixture.expectExact(fixture.source, records)
  }

  @Test("There, back and there again: the map stays monotone and exact both ways")
  func thereAndBack() async throws {
    let fixture = try await MirrorFixture()
    var generator = RecordGenerator(seed: 14)
    let store = fixture.store
    // A target that was not empty: from here on no offset is the same on both sides.
    let before = generator.records(3)
    try await fixture.write(before, on: .target, to: fixture.target)
    await store.arm(.forward, fixture.source, readingFrom: Offset(0), base: Offset(3))
    let first = generator.records(100)
    try await fixture.write(first, on: .source, to: fixture.source)
    #expect(try await fixture.mirror()[fixture.source]?.fault == nil)

    await store.arm(.reverse, fixture.source, readingFrom: Offset(103), base: Offset(100))
    let second = generator.records(50)
    try await fixture.write(second, on: .target, to: fixture.target)
    #expect(try await fixture.mirror(.reverse)[fixture.source]?.fault == nil)

    await store.arm(.forward, fixture.source, readingFrom: Offset(150), base: Offset(153))
    let third = generator.records(25)
    try await fixture.write(third, on: .source, to: fixture.source)
    #expect(try await fixture.mirror()[fixture.source]?.fault == nil)

    #expect(try await fixture.read(fixture.source, on: .source) == first + second + third)
    #expect(try await fixture.read(fixture.target, on: .target) == before + first + second + third)
    let map = try await store.map(of: fixture.source)
    #expect(
      map.segments
        == [OffsetSegment(sourceStart: Offset(0), targetStart: Offset(3), count: 175)])
    for offset in 0..<Int64(175) {
      #expect(map.translate(Offset(offset), from: .source) == Offset(offset + 3))
      #expect(map.translate(Offset(offset + 3), from: .target) == Offset(offset))
    }
  }

  @Test("Holes that transactions leave are closed on the target, and the map knows them")
  func transactions() async throws {
    let fixture = try await MirrorFixture()
    try await fixture.sandbox.writeTransactions(
      ["commit:3", "abort:2", "commit:2", "abort:1"], to: fixture.source, on: .source)
    for _ in 0..<2 { #expect(try await fixture.mirror()[fixture.source]?.fault == nil) }
    let copied = try await fixture.read(fixture.target, on: .target)
    #expect(copied.map(\.value) == [0, 1, 2, 5, 6].map { Array(String($0).utf8) })
    #expect(copied == (try await fixture.read(fixture.source, on: .source)))
    let map = try await fixture.store.map(of: fixture.source)
    #expect(
      map.segments == [
        OffsetSegment(sourceStart: Offset(0), targetStart: Offset(0), count: 3),
        OffsetSegment(sourceStart: Offset(7), targetStart: Offset(3), count: 2),
      ])
    for offset in 3...7 as ClosedRange<Int64> {
      #expect(map.translate(Offset(offset), from: .source) == Offset(3))
    }
    #expect(
      try await fixture.store.state(of: fixture.source, .forward).position
        == (try await fixture.bounds(fixture.source, on: .source).end))
  }

  @Test("The throttle bounds the rate")
  func throttled() async throws {
    let fixture = try await MirrorFixture()
    var generator = RecordGenerator(seed: 15)
    try await fixture.write(
      generator.records(10_000, valueBytes: 100...200), on: .source, to: fixture.source)
    let start = ContinuousClock.now
    let running = fixture.start(bytesPerSecond: 200_000)
    while ContinuousClock.now < start + .seconds(3) {
      try await Task.sleep(for: .milliseconds(50))
    }
    try await running.stop()
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    let bytes = try #require(running.replicator.progress.all[fixture.source]?.bytes)
    #expect(bytes > 0)
    #expect(Double(bytes) < 200_000 * seconds * 1.1)
  }
}
