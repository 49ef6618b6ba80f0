import Kafka
import KafkaModel
import Mirror
import TestSupport
import Testing

/// A topic of three partitions on the source and of five on the target, and its mirror.
struct RekeyFixture {
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

  /// What the origin of a forward mirror holds behind a cut, as it has to be written.
  func round(behind cut: RekeyCut) async throws -> RekeyRound<Record> {
    let reader = try PartitionReader(connections[.source]!)
    var round = RekeyRound<Record>(partitions: topic.targetCount)
    for (index, name) in topic.partitions(on: .source).enumerated() {
      for (_, record) in try await reader.records(of: name, from: cut.source[index]) {
        round.add(
          record,
          to: Murmur2.partition(of: record.key, from: Int32(index), count: Int32(topic.targetCount))
        )
      }
    }
    return round
  }

  /// Leaves what a mirror leaves that dies within the round behind a cut: its begin, and so many of its records, a
  /// part of several partitions'.
  func dieWithinRound(behind cut: RekeyCut, storing count: Int) async throws {
    let round = try await round(behind: cut)
    try await store.begin(topic.source, .forward, to: try await ends(.source))
    var left = count
    for (items, name) in zip(round.items, topic.partitions(on: .target)) {
      for record in items.prefix(left / 2 + 1) where left > 0 {
        try await write(record, to: name, on: .target)
        left -= 1
      }
    }
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
