internal import Foundation
internal import Journal
package import Kafka
internal import KafkaModel
package import Logging
internal import Mirror
package import Reports
internal import Synchronization

/// Measures Ferry's mirror between two clusters, against a bare consume-produce loop, on topics of its
/// own. Rounds alternate, so that both meet the same weather.
package struct MirrorBench: Sendable {
  /// What to measure.
  package struct Options: Sendable {
    package var records: Int64 = 1_000_000
    /// Bytes of each record's value.
    package var size = 1000
    package var partitions: Int32 = 8
    /// Partitions of a second topic that is mirrored along and stays empty.
    package var idlePartitions: Int32 = 0
    /// librdkafka's `compression.codec`, of the records read and written.
    package var codec = "none"
    /// `nil`: as a migration would choose.
    package var lanes: Int?
    package var memoryBytes: Int64 = 512 << 20
    package var rounds = 3
    /// Records a second of the latency measurement; 0 leaves it out.
    package var tailRate = 20_000
    package var tailSeconds = 10

    package init() {}
  }

  private let source: ClusterConnection
  private let target: ClusterConnection
  private let options: Options
  private let logger: Logger
  private let sourceAdmin: Admin
  private let targetAdmin: Admin
  private let name = "ferry.bench.\(UUID().uuidString.prefix(8).lowercased())"

  /// Throws: `KafkaError` - a property is wrong.
  package init(
    source: ClusterConnection, target: ClusterConnection, options: Options, logger: Logger
  ) throws {
    self.source = source
    self.options = options
    self.logger = logger
    var properties = target.properties
    properties["compression.codec"] = options.codec
    self.target = ClusterConnection(name: target.name, properties: properties, logger: logger)
    sourceAdmin = try Admin(source)
    targetAdmin = try Admin(target)
  }

  /// Runs all rounds. Topics are deleted at the end, however it comes.
  ///
  /// - Parameter onStep: told what is being done, and how far it is.
  /// Throws: `KafkaError`, `JournalError`, `EngineError`, `CancellationError`.
  package func run(onStep: @escaping @Sendable (String, String) -> Void) async throws -> BenchReport
  {
    let made = MadeTopics()
    do {
      var report = try await measure(made, onStep)
      report.left = await cleanUp(made)
      return report
    } catch {
      // The clean-up must not be cancelled with the rest.
      let left = await Task { await cleanUp(made) }.value
      for topic in left { logger.warning("left behind: \(topic)") }
      throw error
    }
  }

  private func measure(
    _ made: MadeTopics, _ onStep: @escaping @Sendable (String, String) -> Void
  ) async throws -> BenchReport {
    let lanes = options.lanes ?? LaneShares.automatic(Int(options.partitions))
    var report = BenchReport(
      recordBytes: options.size, partitions: options.partitions,
      idlePartitions: options.idlePartitions, codec: options.codec, lanes: lanes)
    try await create(name, .source, options.partitions, made)
    if options.idlePartitions > 0 {
      try await create("\(name).idle", .source, options.idlePartitions, made)
    }
    let writer = try BenchWriter(
      source, topic: name, partitions: options.partitions, size: options.size,
      codec: options.codec)
    let total = options.records
    try await writer.fill(total) {
      onStep("write records to the source", " (\($0) of \(total))")
    }
    for round in 1...max(1, options.rounds) {
      let bareFirst = round % 2 == 1
      for isBare in [bareFirst, !bareFirst] {
        onStep("round \(round) of \(options.rounds): \(isBare ? "bare loop" : "ferry")", "")
        if isBare {
          report.bare.append(try await copyBare("\(name).bare-\(round)", made))
        } else {
          let before = ProcessUsage.resetPeakMemory()
          report.mirror.append(try await copyMirror("\(name).mirror-\(round)", lanes, made))
          let peak = ProcessUsage.peakMemory
          if peak - before >= report.peakMemory - report.startMemory {
            (report.startMemory, report.peakMemory) = (before, peak)
          }
        }
      }
    }
    if options.tailRate > 0 {
      onStep("\(options.tailSeconds) s at \(options.tailRate) records/s", "")
      report.tail = try await tail("\(name).tail", lanes, writer, made)
    }
    return report
  }

  private func copyBare(_ topic: String, _ made: MadeTopics) async throws -> BenchReport.Copy {
    try await create(topic, .target, options.partitions, made)
    let usage = ProcessUsage()
    try await BareLoop().copy(
      partitions, of: source, to: topic, on: target, records: options.records)
    let copy = copy(since: usage)
    try await delete(topic, .target, made)
    return copy
  }

  private func copyMirror(
    _ topic: String, _ lanes: Int, _ made: MadeTopics
  ) async throws -> BenchReport.Copy {
    let mirror = try await mirror(to: topic, lanes, made)
    while mirror.progress.all.isEmpty { try await mirror.check() }
    let usage = ProcessUsage()
    while mirror.stored < options.records { try await mirror.check() }
    let copy = copy(since: usage)
    try await mirror.stop()
    for topic in made.all where topic.role == .target {
      try await delete(topic.name, .target, made)
    }
    return copy
  }

  private func tail(
    _ topic: String, _ lanes: Int, _ writer: BenchWriter, _ made: MadeTopics
  ) async throws -> BenchReport.Tail? {
    let sending = SendLatency()
    let meter = LaneMeter()
    let mirror = try await mirror(to: topic, lanes, made, statistics: sending, meter: meter)
    // The tail begins when all before it has been copied.
    while mirror.stored < options.records { try await mirror.check() }
    let sourceEnds = try await sourceAdmin.offsets(.end, of: partitions)
    let copies = partitions.map { TopicPartition(topic, $0.partition) }
    let targetEnds = try await targetAdmin.offsets(.end, of: copies)
    sending.reset()
    meter.reset()
    let count = options.tailRate * options.tailSeconds
    async let sourceAges = LatencyProbe().ages(sourceEnds, on: source, count: count)
    async let targetAges = LatencyProbe().ages(targetEnds, on: target, count: count)
    let written = try await writer.tail(
      recordsPerSecond: options.tailRate, seconds: options.tailSeconds)
    let ages = try await (source: sourceAges, target: targetAges)
    try await mirror.stop()
    guard let source = BenchReport.Latency(samples: ages.source),
      let target = BenchReport.Latency(samples: ages.target)
    else { return nil }
    return BenchReport.Tail(
      recordsPerSecond: options.tailRate, records: written, source: source, target: target,
      handling: Self.latency(meter.handling), keeping: Self.latency(meter.keeping),
      sendP99: sending.longestP99)
  }

  private static func latency(_ histogram: DurationHistogram) -> BenchReport.Latency? {
    guard let p50 = histogram.quantile(0.5), let p99 = histogram.quantile(0.99) else { return nil }
    func milliseconds(_ nanoseconds: UInt64) -> Double { Double(nanoseconds) / 1e6 }
    return BenchReport.Latency(
      p50: milliseconds(p50), p99: milliseconds(p99), max: milliseconds(histogram.max))
  }

  private var partitions: [TopicPartition] {
    (0..<options.partitions).map { TopicPartition(name, $0) }
  }

  private func copy(since usage: ProcessUsage) -> BenchReport.Copy {
    let (seconds, cpuSeconds) = usage.elapsed
    return BenchReport.Copy(
      seconds: seconds, cpuSeconds: cpuSeconds, records: options.records,
      bytes: options.records * Int64(options.size))
  }

  // Ferry's mirror, with a journal in a file of its own.

  private struct RunningMirror {
    let replicator: Replicator
    let task: Task<Void, any Error>
    let directory: URL

    var progress: MirrorProgress { replicator.progress }
    var stored: Int64 { progress.all.values.reduce(0) { $0 + $1.records } }

    /// Waits a moment, and throws what has gone wrong.
    func check() async throws {
      for fault in progress.all.values.compactMap(\.fault) {
        throw EngineError.partitionStopped(fault)
      }
      do { try await Task.sleep(for: .milliseconds(5)) } catch {
        try await stop()
        throw error
      }
    }

    func stop() async throws {
      await replicator.stop()
      try await task.value
      try FileManager.default.removeItem(at: directory)
    }
  }

  private func mirror(
    to topic: String, _ lanes: Int, _ made: MadeTopics, statistics: SendLatency? = nil,
    meter: LaneMeter? = nil
  ) async throws -> RunningMirror {
    try await create(topic, .target, options.partitions, made)
    var pairs = partitions.map { ($0, TopicPartition(topic, $0.partition)) }
    if options.idlePartitions > 0 {
      try await create("\(topic).idle", .target, options.idlePartitions, made)
      pairs += (0..<options.idlePartitions).map {
        (TopicPartition("\(name).idle", $0), TopicPartition("\(topic).idle", $0))
      }
    }
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent(topic)
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    let journal = try MigrationJournal.open(
      at: directory.appendingPathComponent("bench.db").path, mode: .create(migration: "bench"))
    let lease = try journal.acquireLease(holder: .current, duration: .seconds(86400))
    for (source, target) in pairs {
      _ = try journal.registerPartition(source: source, target: target, lease: lease)
    }
    let store = try JournalMapStore(Ledger(journal, lease: lease))
    var destination = target
    if let statistics {
      var properties = target.properties
      properties["statistics.interval.ms"] = "1000"
      destination = ClusterConnection(name: target.name, properties: properties, logger: logger)
      destination.onStatistics = { statistics.take($0) }
    }
    let replicator = Replicator(
      direction: .forward, origin: source, destination: destination, store: store,
      lanes: lanes,
      limits: MirrorControl.limits(memoryBytes: options.memoryBytes), meter: meter,
      logger: logger)
    let sources = pairs.map(\.0)
    return RunningMirror(
      replicator: replicator, task: Task { try await replicator.run(sources) },
      directory: directory)
  }

  // Topics.

  /// What has to be deleted again.
  private final class MadeTopics: Sendable {
    struct Topic: Hashable {
      let name: String
      let role: ClusterRole
    }

    private let topics = Mutex<Set<Topic>>([])
    var all: Set<Topic> { topics.withLock { $0 } }
    func add(_ topic: Topic) { topics.withLock { _ = $0.insert(topic) } }
    func remove(_ topic: Topic) { topics.withLock { _ = $0.remove(topic) } }
  }

  private func admin(_ role: ClusterRole) -> Admin { role == .source ? sourceAdmin : targetAdmin }

  private func create(
    _ topic: String, _ role: ClusterRole, _ partitions: Int32, _ made: MadeTopics
  ) async throws {
    // Retention off: records carry timestamps of the past.
    try await admin(role).createTopic(
      topic, partitions: partitions, config: ["retention.ms": "-1"])
    made.add(MadeTopics.Topic(name: topic, role: role))
    // Leaders are elected after the topic was created.
    let all = (0..<partitions).map { TopicPartition(topic, $0) }
    for _ in 0..<100 {
      let known = try? await admin(role).topics(named: topic).first?.partitionCount
      if known == partitions, (try? await admin(role).offsets(.end, of: all)) != nil { return }
      try await Task.sleep(for: .milliseconds(100))
    }
    throw KafkaError.timedOut("create topic \(topic)", cluster: role.rawValue)
  }

  private func delete(_ topic: String, _ role: ClusterRole, _ made: MadeTopics) async throws {
    try await admin(role).deleteTopic(topic)
    made.remove(MadeTopics.Topic(name: topic, role: role))
  }

  private func cleanUp(_ made: MadeTopics) async -> [String] {
    for topic in made.all { try? await delete(topic.name, topic.role, made) }
    return made.all.map { "topic \($0.name) on the \($0.role.rawValue) cluster" }.sorted()
  }
}

/// The longest p99 of a producer's `outbuf_latency` window (librdkafka STATISTICS.md), in milliseconds.
/// `int_latency`, which would tell of batching too, overflows in librdkafka 2.0.2.
private final class SendLatency: Sendable {
  private let longest = Mutex<Double?>(nil)

  var longestP99: Double? { longest.withLock { $0 } }

  func reset() { longest.withLock { $0 = nil } }

  func take(_ json: String) {
    guard
      let root = try? JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any],
      root["type"] as? String == "producer", let brokers = root["brokers"] as? [String: Any]
    else { return }
    for broker in brokers.values {
      guard let window = (broker as? [String: Any])?["outbuf_latency"] as? [String: Any],
        let count = window["cnt"] as? Int, count > 0, let p99 = window["p99"] as? Int
      else { continue }
      longest.withLock { $0 = max($0 ?? 0, Double(p99) / 1000) }
    }
  }
}
