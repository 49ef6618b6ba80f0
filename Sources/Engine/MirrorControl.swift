internal import Kafka
internal import KafkaModel
internal import Logging
internal import Mirror

/// One stage's two mirrors, at most one of which runs.
actor MirrorControl {
  private struct Running {
    let direction: Direction
    let replicator: Replicator
    let rekeys: [RekeyMirror]
    let task: Task<Void, Never>
    let partitions: Set<TopicPartition>
    let rekeyed: [RekeyTopic]
  }

  private let clusters: Clusters
  private let store: @Sendable () throws -> any MapStore
  private let rekeyStore: any RekeyStore
  private let budgets: MirrorBudgets
  private let order: BackfillOrder
  private let priority: @Sendable (TopicPartition) -> Int
  private let lanes: Int?
  private let memoryBytes: Int64
  private let logger: Logger
  private var running: Running?
  /// A mirror that is connected and does not run yet.
  private var prepared: (mirror: Replicator, direction: Direction, partitions: Set<TopicPartition>)?
  private var failure: (any Error)?

  init(
    clusters: Clusters, budgets: MirrorBudgets, order: BackfillOrder,
    priority: @escaping @Sendable (TopicPartition) -> Int, lanes: Int?, memoryBytes: Int64,
    logger: Logger, rekeyStore: any RekeyStore,
    store: @escaping @Sendable () throws -> any MapStore
  ) {
    self.clusters = clusters
    self.store = store
    self.rekeyStore = rekeyStore
    self.budgets = budgets
    self.order = order
    self.priority = priority
    self.lanes = lanes
    self.memoryBytes = memoryBytes
    self.logger = logger
  }

  /// Connects an urgent mirror of `partitions` to both clusters, for ``start(_:_:isUrgent:isFresh:)`` to
  /// come, while another may run.
  ///
  /// Throws: ``KafkaError`` - a cluster does not answer; or the journal's error.
  func prepare(_ direction: Direction, _ partitions: [TopicPartition]) async throws {
    let all = Set(partitions)
    if let prepared, prepared.direction == direction, prepared.partitions == all { return }
    let mirror = try replicator(direction, isUrgent: true)
    try await mirror.prepare(partitions)
    prepared = (mirror, direction, all)
  }

  /// Starts mirroring `partitions`; nothing happens where that mirror runs already.
  ///
  /// - Parameters:
  ///   - rekeyed: topics among those of `partitions` that are rekeyed.
  ///   - isUrgent: clients wait for it: nothing of it is held back as backfill.
  ///   - isFresh: see `Reconciler`.
  func start(
    _ direction: Direction, _ partitions: [TopicPartition], rekeyed: [RekeyTopic], isUrgent: Bool,
    isFresh: Bool = false
  ) async throws {
    if let running, running.direction == direction {
      if isUrgent {
        await running.replicator.hurry()
        for rekey in running.rekeys { await rekey.hurry() }
      }
      return
    }
    let all = Set(partitions)
    let names = Set(rekeyed.map(\.source))
    let ordinary = partitions.filter { !names.contains($0.topic) }
    var ready: Replicator?
    if let prepared, isUrgent, prepared.direction == direction,
      prepared.partitions == Set(ordinary)
    {
      ready = prepared.mirror
    }
    await stop()
    failure = nil
    let replicator = try ready ?? self.replicator(direction, isUrgent: isUrgent)
    let rekeys = rekeyed.map { rekey($0, direction, among: rekeyed.count, isUrgent: isUrgent) }
    let task = Task {
      await withTaskGroup(of: Void.self) { group in
        group.addTask {
          do { try await replicator.run(ordinary, isFresh: isFresh) } catch {
            await self.failed(error)
          }
        }
        for rekey in rekeys {
          group.addTask {
            do { try await rekey.run() } catch { await self.failed(error) }
          }
        }
      }
    }
    running = Running(
      direction: direction, replicator: replicator, rekeys: rekeys, task: task, partitions: all,
      rekeyed: rekeyed)
  }

  /// - Parameter count: of the stage's rekeyed topics, which share its memory with all others.
  private func rekey(
    _ topic: RekeyTopic, _ direction: Direction, among count: Int, isUrgent: Bool
  ) -> RekeyMirror {
    var limits = Self.limits(memoryBytes: memoryBytes)
    limits.bytes /= count + 1
    limits.records = min(limits.records, RekeyMirror.largestRound)
    return RekeyMirror(
      topic, direction: direction, origin: clusters.connection(direction.origin),
      destination: clusters.connection(direction.destination), store: rekeyStore,
      settings: RekeyMirror.Settings(
        budgets: budgets, order: order, priority: priority(TopicPartition(topic.source, 0)),
        limits: limits),
      isUrgent: isUrgent, logger: logger)
  }

  private func replicator(_ direction: Direction, isUrgent: Bool) throws -> Replicator {
    Replicator(
      direction: direction, origin: clusters.connection(direction.origin),
      destination: clusters.connection(direction.destination), store: try store(),
      budgets: budgets, order: order, priority: priority, isUrgent: isUrgent,
      lanes: lanes,
      limits: Self.limits(memoryBytes: memoryBytes), logger: logger)
  }

  /// What a mirror may hold. As many bytes as may wait to be stored, half as many wait to be read, and
  /// librdkafka's buffers around both take about as much again (measured).
  static func limits(memoryBytes: Int64) -> LaneLimits {
    var limits = LaneLimits()
    limits.bytes = Int(memoryBytes / 4)
    // Twice as many are about, at some 400 bytes each: a quarter of the memory again.
    limits.records = min(limits.records, max(10_000, Int(memoryBytes / 4 / 800)))
    return limits
  }

  private func failed(_ error: any Error) { failure = error }

  /// Stops after everything in flight is stored and journalled.
  ///
  /// - Parameter keepsPrepared: whether the mirror that was prepared is to come next; then it does not wait
  ///   for this one's clients to end.
  func stop(keepsPrepared: Bool = false) async {
    if !keepsPrepared { prepared = nil }
    guard let ending = running else { return }
    running = nil
    await ending.replicator.stop()
    for rekey in ending.rekeys { await rekey.stop() }
    await ending.task.value
    if !keepsPrepared { await ending.replicator.close() }
  }

  /// Starts the running mirror anew: it reconciles every partition.
  func restart() async throws {
    guard let ending = running else { return }
    await stop()
    guard running == nil else { return }
    try await start(
      ending.direction, Array(ending.partitions), rekeyed: ending.rekeyed, isUrgent: true)
  }

  var direction: Direction? { running?.direction }

  /// The running mirror's progress, of every partition that it has reconciled.
  ///
  /// Throws: ``EngineError/partitionStopped(_:)``, or the journal's error that ended the mirror.
  func progress() throws -> [TopicPartition: PartitionProgress] {
    let all = try uncheckedProgress()
    for fault in all.values.compactMap(\.fault) { throw EngineError.partitionStopped(fault) }
    return all
  }

  /// As ``progress()``, with faulty partitions left in.
  func uncheckedProgress() throws -> [TopicPartition: PartitionProgress] {
    if let failure { throw failure }
    guard let running else { return [:] }
    var all = running.replicator.progress.all
    for rekey in running.rekeys { all.merge(rekey.progress.all) { _, new in new } }
    return all
  }

  /// Why nothing is copied at the moment, if so.
  var trouble: String? {
    guard let running else { return nil }
    return running.replicator.progress.trouble
      ?? running.rekeys.lazy.compactMap { $0.progress.trouble }.first
  }

  /// Every partition has been reconciled and is being copied.
  func isSettled() throws -> Bool {
    guard let running, trouble == nil else { return false }
    let known = try progress()
    return running.partitions.allSatisfy { known[$0] != nil }
  }
}
