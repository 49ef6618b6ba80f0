import Kafka
import KafkaModel
import Mirror
import TestSupport
import Testing

/// A topic of three partitions on the source and of five on the target, and its mirror.
private struct RekeyFixture {
  let connections: [ClusterRole: ClusterConnection]
  let topic: RekeyTopic
  let store: InMemoryRekeyStore
  private let log = LogLines()

  init() async throws {
    let sandbox = try await Sandbox.shared.value
    var connections: [ClusterRole: ClusterConnection] = [:]
    for role in ClusterRole.allCases {
      connections[role] = await sandbox.connection(role, logger: log.logger)
    }
    self.connections = connections
    topic = RekeyTopic(
      source: try await sandbox.topic(on: .source, partitions: 3, config: [:]),
      target: try await sandbox.topic(on: .target, partitions: 5, config: [:]), sourceCount: 3,
      targetCount: 5)
    store = InMemoryRekeyStore(topic)
  }

  static func record(_ number: Int) -> Record {
    Record(
      key: number % 4 == 0 ? nil : Array("key \(number % 13)".utf8),
      value: number % 7 == 0 ? nil : Array("value \(number)".utf8),
      headers: [RecordHeader("n", Array("\(number)".utf8)), RecordHeader("n", nil)],
      timestamp: 1_700_000_000_000 + Int64(number))
  }

  /// Writes records with these numbers where Java's producer would.
  func write(_ numbers: Range<Int>, on role: ClusterRole = .source) async throws {
    let names = topic.partitions(on: role)
    var shares: [TopicPartition: [Record]] = [:]
    for number in numbers {
      let record = Self.record(number)
      let place = Murmur2.partition(
        of: record.key, from: Int32(number % 60), count: Int32(names.count))
      shares[names[Int(place)], default: []].append(record)
    }
    for (partition, records) in shares {
      try await RecordWriter(connections[role]!).write(
        records, to: partition, patience: .seconds(60))
    }
  }

  func write(_ record: Record, to partition: TopicPartition, on role: ClusterRole) async throws {
    try await RecordWriter(connections[role]!).write(
      [record], to: partition, patience: .seconds(60))
  }

  func ends(_ role: ClusterRole) async throws -> [Offset] {
    let names = topic.partitions(on: role)
    let found = try await Admin(connections[role]!).offsets(.end, of: names)
    return names.map { found[$0]! }
  }

  /// Mirrors until the origin's present ends are stored, or it stops, or the store ends it.
  @discardableResult
  func mirror(
    _ direction: Direction = .forward, limits: LaneLimits = LaneLimits()
  ) async throws -> MirrorFault? {
    let ends = try await ends(direction.origin)
    let mirror = RekeyMirror(
      topic, direction: direction, origin: connections[direction.origin]!,
      destination: connections[direction.destination]!, store: store,
      settings: RekeyMirror.Settings(limits: limits), isUrgent: true, logger: log.logger)
    let task = Task { try await mirror.run() }
    defer { task.cancel() }
    let keys = topic.keys(on: direction.origin)
    let deadline = ContinuousClock.now + .seconds(30)
    while ContinuousClock.now < deadline {
      let progress = mirror.progress.all
      if let fault = progress.values.compactMap(\.fault).first { return fault }
      if zip(keys, ends).allSatisfy({ (progress[$0]?.position ?? Offset(-1)) >= $1 }) { break }
      try await Task.sleep(for: .milliseconds(20))
    }
    await mirror.stop()
    try await task.value
    return nil
  }

  /// Every record stands once where its key puts it, and records of a key are in order.
  func expectExact(_ count: Int, on role: ClusterRole) async throws {
    let names = topic.partitions(on: role)
    let reader = try PartitionReader(connections[role]!)
    var seen: [Int: Record] = [:]
    for (index, name) in names.enumerated() {
      var last: [[UInt8]: Int64] = [:]
      for (_, record) in try await reader.records(of: name, from: Offset(0)) {
        let number = Int(record.timestamp - 1_700_000_000_000)
        #expect(seen.updateValue(record, forKey: number) == nil, "\(number) stands there twice")
        #expect(record == Self.record(number))
        guard let key = record.key else { continue }
        #expect(Murmur2.partition(of: key, from: 0, count: Int32(names.count)) == Int32(index))
        #expect(last[key] ?? -1 < record.timestamp)
        last[key] = record.timestamp
      }
    }
    #expect(seen.count == count)
  }
}

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
    // What a mirror writes that dies within the round: a part of each partition.
    let reader = try PartitionReader(fixture.connections[.source]!)
    var round = RekeyRound<Record>(partitions: 5)
    for (index, name) in fixture.topic.partitions(on: .source).enumerated() {
      for (_, record) in try await reader.records(of: name, from: cut.source[index]) {
        round.add(record, to: Murmur2.partition(of: record.key, from: Int32(index), count: 5))
      }
    }
    try await fixture.store.begin(
      fixture.topic.source, .forward, to: try await fixture.ends(.source))
    var left = stored
    for (items, name) in zip(round.items, fixture.topic.partitions(on: .target)) {
      for record in items.prefix(left / 2 + 1) where left > 0 {
        try await fixture.write(record, to: name, on: .target)
        left -= 1
      }
    }
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

extension RekeyFixture {
  /// The same mirror, with another topic in the place of one.
  init(_ other: RekeyFixture, source: String? = nil, target: String? = nil) {
    connections = other.connections
    store = other.store
    topic = RekeyTopic(
      source: source ?? other.topic.source, target: target ?? other.topic.target, sourceCount: 3,
      targetCount: 5)
  }
}
