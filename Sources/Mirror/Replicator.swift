package import Kafka
package import KafkaModel
package import Logging

/// Mirrors a set of partitions in one direction: reconciles, runs lanes, and starts over from
/// reconciliation when a lane ends with an error.
package actor Replicator {
  private let direction: Direction
  private let origin: ClusterConnection
  private let destination: ClusterConnection
  private let store: any MapStore
  private let lanes: Int?
  private let priority: @Sendable (TopicPartition) -> Int
  private var isUrgent: Bool
  private let limits: LaneLimits
  private let stillness: Duration
  private let logger: Logger
  private var running: [Lane] = []
  private var closing: Task<Void, Never>?
  private var stopping = false
  private var prepared: Prepared?

  /// What a first start finds ready.
  private struct Prepared {
    let reconciler: Reconciler
    /// Each with the partitions that it is to copy.
    let lanes: [(lane: Lane, share: Set<TopicPartition>)]
  }

  private let budgets: MirrorBudgets
  private let order: BackfillOrder
  private let meter: LaneMeter?
  package nonisolated let progress = MirrorProgress()

  /// - Parameters:
  ///   - order: shared by mirrors whose backfill waits for each other's.
  ///   - priority: of a partition, by its name on the source; backfill of higher priority goes first.
  ///   - isUrgent: nothing is backfill, however much is left.
  ///   - lanes: how many; `nil` leaves it to ``LaneShares``.
  ///   - meter: takes the times of what lanes do, which is a little work for each record.
  ///   - stillness: how long the destination's ends have to stand still before a start believes that a
  ///     killed predecessor's last requests have arrived.
  package init(
    direction: Direction, origin: ClusterConnection, destination: ClusterConnection,
    store: any MapStore, budgets: MirrorBudgets = MirrorBudgets(),
    order: BackfillOrder = BackfillOrder(),
    priority: @escaping @Sendable (TopicPartition) -> Int = { _ in 0 }, isUrgent: Bool = false,
    lanes: Int?, limits: LaneLimits = LaneLimits(), meter: LaneMeter? = nil,
    stillness: Duration = .milliseconds(300), logger: Logger
  ) {
    self.direction = direction
    self.origin = origin
    self.destination = destination
    self.store = store
    self.budgets = budgets
    self.order = order
    self.priority = priority
    self.isUrgent = isUrgent
    self.lanes = lanes
    self.limits = limits
    self.meter = meter
    self.stillness = stillness
    self.logger = logger
  }

  /// Connects to both clusters and learns what a start has to know of them, so that one in which
  /// nothing is backfill need not wait for that. Writes nothing and decides nothing.
  ///
  /// Throws: ``KafkaError`` - a cluster does not answer; or the store's error.
  package func prepare(_ sources: [TopicPartition]) async throws {
    let reconciler = try Reconciler(
      direction: direction, origin: origin, destination: destination, store: store)
    let states = try await store.states(of: sources, direction)
    try await reconciler.prepare(states)
    let sizes = try await DestinationSizes(
      of: Set(states.map { $0.partition(on: direction.destination).topic }),
      reconciler.destinationAdmin)
    let shares = LaneShares.divide(states.map { ($0, Int64(0)) }, lanes: lanes) {
      priority($0.source)
    }
    var lanes: [(lane: Lane, share: Set<TopicPartition>)] = []
    for (index, share) in shares.enumerated() {
      let lane = try lane(index, of: shares.count, queues: 1, sizes: sizes)
      try await lane.prepare(share)
      lanes.append((lane, Set(share.map(\.source))))
    }
    prepared = Prepared(reconciler: reconciler, lanes: lanes)
  }

  /// Mirrors until ``stop()`` or cancellation. Errors of the clusters are retried, with a pause, for as
  /// long as it takes, and told in ``progress`` meanwhile; a partition's fault stops that partition.
  ///
  /// - Parameter isFresh: see ``Reconciler/reconcile(_:stillness:isFresh:)``; of the first start.
  /// Throws: the store's error; ``KafkaError`` - a topic has been unknown for a minute: it is gone.
  package func run(_ sources: [TopicPartition], isFresh: Bool = false) async throws {
    var startOver = StartOver()
    var isFresh = isFresh
    while !stopping, !Task.isCancelled {
      let start = ContinuousClock.now
      do {
        defer { isFresh = false }
        try await runOnce(sources, isFresh)
        progress.trouble = nil
        return
      } catch let error as KafkaError {
        guard !stopping, !Task.isCancelled else {
          logger.notice(
            "\(direction.rawValue) mirror stops; its next start compares what is in doubt: \(error.summary)"
          )
          return
        }
        let pause = try startOver.pause(after: error, of: start)
        progress.trouble = error.summary
        logger.notice("\(direction.rawValue) mirror starts over: \(error.summary)")
        try? await Task.sleep(for: pause)
      }
    }
  }

  /// Ends ``run(_:)`` after what is in flight has been stored.
  package func stop() async {
    stopping = true
    for lane in running { lane.stop() }
  }

  /// Waits until the clients of a mirror that has ended are gone. They write nothing before that either:
  /// nobody else need wait for it.
  package func close() async { await closing?.value }

  /// From now on nothing is backfill.
  package func hurry() {
    isUrgent = true
    for lane in running { lane.hurry() }
  }

  private func runOnce(_ sources: [TopicPartition], _ isFresh: Bool) async throws {
    // Lanes serve once.
    let prepared = prepared
    self.prepared = nil
    let reconciler =
      try prepared?.reconciler
      ?? Reconciler(direction: direction, origin: origin, destination: destination, store: store)
    let outcomes = try await reconciler.reconcile(
      sources, stillness: stillness, isFresh: isFresh)
    // A record that the destination refuses for good would end every new producer.
    let refused = Set(
      progress.all.filter { if case .refused? = $0.value.fault { true } else { false } }.keys)
    var healthy: [(item: LanePartition, left: Int64)] = []
    var told: [TopicPartition: PartitionProgress] = [:]
    for outcome in outcomes where !refused.contains(outcome.state.source) {
      var progress = PartitionProgress(
        position: outcome.state.position,
        destinationEnd: outcome.state.expectedEnd(direction))
      if let fault = outcome.fault {
        logger.error("\(fault.summary)")
        progress.fault = fault
      } else {
        let partition = LanePartition(
          state: outcome.state, isBackfill: !isUrgent && outcome.left > limits.nearEnd,
          priority: priority(outcome.state.source))
        healthy.append((partition, outcome.left))
      }
      if outcome.adopted > 0 {
        logger.info(
          "\(outcome.state.source): \(outcome.adopted) records stood on the \(direction.destination.rawValue) already and equal the \(direction.origin.rawValue)'s"
        )
      }
      if outcome.lost > 0 {
        logger.warning(
          "\(outcome.state.source): the \(direction.destination.rawValue) lost its last \(outcome.lost) records; they are copied again"
        )
      }
      told[outcome.state.source] = progress
    }
    progress.update(told)
    progress.trouble = nil
    if let lanes = prepared?.lanes, !healthy.contains(where: { $0.item.isBackfill }) {
      guard !stopping, !Task.isCancelled else { return }
      return try await runLanes(
        lanes.map { lane, share in
          (lane, healthy.map(\.item).filter { share.contains($0.state.source) })
        })
    }
    let topics = Set(healthy.map { $0.item.state.partition(on: direction.destination).topic })
    let sizes = try await DestinationSizes(of: topics, reconciler.destinationAdmin)
    // Nothing suspends from here until `stop()` can reach the lanes.
    guard !stopping, !Task.isCancelled else { return }
    let shares = LaneShares.divide(healthy, lanes: lanes) { $0.priority }
    var lanes: [(lane: Lane, share: [LanePartition])] = []
    for (index, share) in shares.enumerated() {
      let queues = Set(share.map(\.isBackfill)).count
      lanes.append(
        (try lane(index, of: shares.count, queues: queues, sizes: sizes), share))
    }
    try await runLanes(lanes)
  }

  /// A lane, one of `count`.
  private func lane(
    _ index: Int, of count: Int, queues: Int, sizes: DestinationSizes
  ) throws(KafkaError) -> Lane {
    var limits = limits
    limits.bytes /= count
    limits.records = max(10_000, limits.records / count)
    return try Lane(
      direction: direction, origin: origin, destination: destination, store: store,
      budgets: budgets, order: order, progress: progress, meter: meter, limits: limits,
      queues: queues, sizes: sizes, name: "\(direction.rawValue)-\(index)")
  }

  private func runLanes(_ work: [(lane: Lane, share: [LanePartition])]) async throws {
    running = work.map(\.lane)
    defer {
      running = []
      closing = Task { for (lane, _) in work { await lane.close() } }
    }
    // Before any lane looks whose turn it is. Each takes its own out again.
    for partition in work.map(\.share).joined() where partition.isBackfill {
      order.add(partition.priority)
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (lane, share) in work { group.addTask { try await lane.run(share) } }
      do {
        // Not `waitForAll`, which tells of an error only when every other lane has ended, too.
        while try await group.next() != nil {}
      } catch {
        // One lane's end ends them all: the next start reconciles every partition.
        for lane in running { lane.stop() }
        throw error
      }
    }
  }
}
