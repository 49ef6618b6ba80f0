import Kafka
import KafkaModel
import Mirror
import TestSupport
import Testing

/// One topic on both clusters or several, a map in memory, and mirrors between the two.
struct MirrorFixture {
  let sandbox: Sandbox
  let connections: [ClusterRole: ClusterConnection]
  let sources: [TopicPartition]
  let targets: [TopicPartition: TopicPartition]
  let store: InMemoryMapStore
  private let log = LogLines()

  /// - Parameter partitions: of each topic.
  init(topics: Int = 1, partitions: Int32 = 1, config: [String: String] = [:]) async throws {
    sandbox = try await Sandbox.shared.value
    var connections: [ClusterRole: ClusterConnection] = [:]
    for role in ClusterRole.allCases {
      connections[role] = await sandbox.connection(role, logger: log.logger)
    }
    self.connections = connections
    var sources: [TopicPartition] = []
    var targets: [TopicPartition: TopicPartition] = [:]
    for _ in 0..<topics {
      let from = try await sandbox.topic(on: .source, partitions: partitions, config: config)
      let to = try await sandbox.topic(on: .target, partitions: partitions, config: config)
      for number in 0..<partitions {
        sources.append(TopicPartition(from, number))
        targets[TopicPartition(from, number)] = TopicPartition(to, number)
      }
    }
    self.sources = sources
    self.targets = targets
    store = InMemoryMapStore(targets)
  }

  var source: TopicPartition { sources[0] }
  var target: TopicPartition { targets[source]! }

  func write(_ records: [Record], on role: ClusterRole, to partition: TopicPartition) async throws {
    try await RecordWriter(connections[role]!).write(
      records, to: partition, patience: .seconds(60))
  }

  func read(_ partition: TopicPartition, on role: ClusterRole) async throws -> [Record] {
    try await PartitionReader(connections[role]!).records(of: partition, from: Offset(0))
      .map(\.record)
  }

  /// Log start and end of a partition.
  func bounds(_ partition: TopicPartition, on role: ClusterRole) async throws -> LogBounds {
    try await Admin(connections[role]!).bounds(of: [partition])[partition]!
  }

  /// Waits until the first partition's copy holds `count` records, whatever the map knows of them.
  ///
  /// - Parameter admin: of the target; by default one of its own.
  func untilCopied(_ count: Int64, by admin: Admin? = nil) async throws {
    let admin = try admin ?? Admin(connections[.target]!)
    try await until { try await admin.bounds(of: [target])[target]!.end >= Offset(count) }
  }

  func until(_ condition: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(30)
    while try await !condition() {
      try #require(ContinuousClock.now < deadline)
      try await Task.sleep(for: .milliseconds(5))
    }
  }

  /// Starts a mirror of some partitions; by default of all.
  func start(
    _ direction: Direction = .forward, _ partitions: [TopicPartition]? = nil,
    bytesPerSecond: Int64? = nil, budgets: MirrorBudgets? = nil,
    order: BackfillOrder = BackfillOrder(),
    priority: @escaping @Sendable (TopicPartition) -> Int = { _ in 0 }, lanes: Int = 1,
    limits: LaneLimits = LaneLimits()
  ) -> RunningMirror {
    let replicator = Replicator(
      direction: direction, origin: connections[direction.origin]!,
      destination: connections[direction.destination]!, store: store,
      budgets: budgets ?? MirrorBudgets(backfill: bytesPerSecond, tail: bytesPerSecond),
      order: order, priority: priority, lanes: lanes, limits: limits,
      logger: connections[.source]!.logger)
    let partitions = partitions ?? sources
    return RunningMirror(
      replicator: replicator, task: Task { try await replicator.run(partitions) }, log: log)
  }

  /// Mirrors until each origin's present end is copied or the partition has stopped.
  ///
  /// Returns: what became of each partition.
  @discardableResult
  func mirror(
    _ direction: Direction = .forward, _ partitions: [TopicPartition]? = nil
  ) async throws -> [TopicPartition: PartitionProgress] {
    let partitions = partitions ?? sources
    var ends: [TopicPartition: Offset] = [:]
    for partition in partitions {
      let state = try await store.state(of: partition, direction)
      ends[partition] = try await bounds(
        state.partition(on: direction.origin), on: direction.origin
      ).end
    }
    let running = start(direction, partitions)
    for partition in partitions {
      try await running.until(partition) { $0.position >= ends[partition]! || $0.fault != nil }
    }
    try await running.stop()
    return running.replicator.progress.all
  }

  /// Lets a mirror copy all partitions to the end, stops it, and looks whether the copies are exact.
  ///
  /// - Parameter records: of each partition, in the order of ``sources``.
  func expectAllCopied(by running: RunningMirror, _ records: [[Record]]) async throws {
    for (partition, records) in zip(sources, records) {
      try await running.until(partition) { $0.position == Offset(Int64(records.count)) }
    }
    try await running.stop()
    for (partition, records) in zip(sources, records) { try await expectExact(partition, records) }
  }

  /// Whether the target holds exactly the source's records and the map says so.
  func expectExact(_ partition: TopicPartition, _ records: [Record]) async throws {
    let copied = try await read(targets[partition]!, on: .target)
    #expect(copied.count == records.count)
    #expect(copied == records)
    let map = try await store.map(of: partition)
    #expect(
      map.segments
        == [
          OffsetSegment(
            sourceStart: Offset(0), targetStart: Offset(0), count: Int64(records.count))
        ])
    let hasher = RecordHasher()
    let state = try await store.state(of: partition, .forward)
    #expect(state.lastDigest == records.last.map { hasher.digest($0) })
  }
}

/// A mirror at work.
struct RunningMirror {
  let replicator: Replicator
  let task: Task<Void, any Error>
  let log: LogLines

  struct NotReached: Error, CustomStringConvertible {
    let description: String
  }

  /// Waits until what is known of a partition satisfies the condition.
  func until(
    _ partition: TopicPartition, _ isReached: (PartitionProgress) -> Bool
  ) async throws {
    let deadline = ContinuousClock.now + .seconds(60)
    while true {
      let progress = replicator.progress.all[partition]
      if let progress, isReached(progress) { return }
      guard ContinuousClock.now < deadline else {
        try await stop()
        throw NotReached(
          description: "\(partition) is at \(String(describing: progress)); "
            + log.all.suffix(20).joined(separator: "\n"))
      }
      try await Task.sleep(for: .milliseconds(20))
    }
  }

  func stop() async throws {
    await replicator.stop()
    try await task.value
  }
}
