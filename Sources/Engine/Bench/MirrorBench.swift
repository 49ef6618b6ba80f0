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
    /// Records have keys, and Ferry deals them to so many partitions by them, on its one thread for a rekeyed
    /// topic. The bare loop copies them to as many as they are in.
    package var rekeyTo: Int32?
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
    let automatic = options.rekeyTo == nil ? LaneShares.automatic(Int(options.partitions)) : 1
    let lanes = options.lanes ?? automatic
    var report = BenchReport(
      recordBytes: options.size, partitions: options.partitions,
      idlePartitions: options.idlePartitions, codec: options.codec, lanes: lanes,
      rekeyTo: options.rekeyTo)
    try await create(name, .source, options.partitions, made)
    if options.idlePartitions > 0 {
      try await create("\(name).idle", .source, options.idlePartitions, made)
    }
    let writer = try BenchWriter(
      source, topic: name, partitions: options.partitions, size: options.size,
      codec: options.codec, hasKeys: options.rekeyTo != nil)
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
    while !mirror.isReady { try await mirror.check() }
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
    let copies = (0..<(options.rekeyTo ?? options.partitions)).map { TopicPartition(topic, $0) }
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
      sendP99s: sending.p99s)
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

  /// Starts Ferry's mirror.
  private func mirror(
    to topic: String, _ lanes: Int, _ made: MadeTopics, statistics: SendLatency? = nil,
    meter: LaneMeter? = nil
  ) async throws -> BenchedMirror {
    try await create(topic, .target, options.rekeyTo ?? options.partitions, made)
    var pairs = partitions.map { (source: $0, target: TopicPartition(topic, $0.partition)) }
    if options.idlePartitions > 0 {
      try await create("\(topic).idle", .target, options.idlePartitions, made)
      pairs += (0..<options.idlePartitions).map {
        (TopicPartition("\(name).idle", $0), TopicPartition("\(topic).idle", $0))
      }
    }
    var destination = target
    if let statistics {
      var properties = target.properties
      properties["statistics.interval.ms"] = "1000"
      destination = ClusterConnection(name: target.name, properties: properties, logger: logger)
      destination.onStatistics = { statistics.take($0) }
    }
    var limits = MirrorControl.limits(memoryBytes: options.memoryBytes)
    guard let rekeyTo = options.rekeyTo else {
      return try BenchedMirror(pairs, named: topic) { store in
        Replicator(
          direction: .forward, origin: source, destination: destination, store: store,
          lanes: lanes, limits: limits, meter: meter, logger: logger)
      }
    }
    limits.records = min(limits.records, RekeyMirror.largestRound)
    let rekeyed = RekeyTopic(
      source: name, target: topic, sourceCount: Int(options.partitions),
      targetCount: Int(rekeyTo))
    return try BenchedMirror(rekeyed, named: topic) { store in
      RekeyMirror(
        rekeyed, direction: .forward, origin: source, destination: destination, store: store,
        settings: RekeyMirror.Settings(limits: limits), logger: logger)
    }
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

/// The p99 of each `outbuf_latency` window of each broker of a producer (librdkafka STATISTICS.md), in
/// milliseconds.
/// `int_latency`, which would tell of batching too, overflows in librdkafka 2.0.2.
private final class SendLatency: Sendable {
  private let taken = Mutex<[Double]>([])

  var p99s: [Double] { taken.withLock { $0 } }

  func reset() { taken.withLock { $0 = [] } }

  func take(_ json: String) {
    guard
      let root = try? JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any],
      root["type"] as? String == "producer", let brokers = root["brokers"] as? [String: Any]
    else { return }
    for broker in brokers.values {
      guard let window = (broker as? [String: Any])?["outbuf_latency"] as? [String: Any],
        let count = window["cnt"] as? Int, count > 0, let p99 = window["p99"] as? Int
      else { continue }
      taken.withLock { $0.append(Double(p99) / 1000) }
    }
  }
}
