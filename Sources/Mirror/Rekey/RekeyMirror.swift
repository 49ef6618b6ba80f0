package import Kafka
package import KafkaModel
package import Logging

/// Mirrors one rekeyed topic in one direction; starts over from reconciliation when its lane ends with an
/// error. As ``Replicator`` for the partitions of other topics.
package actor RekeyMirror {
  private let topic: RekeyTopic
  private let direction: Direction
  private let origin: ClusterConnection
  private let destination: ClusterConnection
  private let store: any RekeyStore
  private let settings: Settings
  private let logger: Logger
  private var isUrgent: Bool
  private var running: RekeyLane?
  private var stopping = false
  package nonisolated let progress = MirrorProgress()

  /// Records of a round, about: a group that has read half of one reads that half again.
  package static let largestRound = 10_000

  /// What it may use.
  package struct Settings: Sendable {
    let budgets: MirrorBudgets
    let order: BackfillOrder
    let priority: Int
    let limits: LaneLimits
    let stillness: Duration

    /// As of ``Replicator/init(direction:origin:destination:store:budgets:order:priority:isUrgent:lanes:limits:meter:stillness:logger:)``.
    package init(
      budgets: MirrorBudgets = MirrorBudgets(), order: BackfillOrder = BackfillOrder(),
      priority: Int = 0, limits: LaneLimits = LaneLimits(), stillness: Duration = .milliseconds(300)
    ) {
      self.budgets = budgets
      self.order = order
      self.priority = priority
      self.limits = limits
      self.stillness = stillness
    }
  }

  /// - Parameter isUrgent: nothing is backfill, however much is left.
  package init(
    _ topic: RekeyTopic, direction: Direction, origin: ClusterConnection,
    destination: ClusterConnection, store: any RekeyStore, settings: Settings = Settings(),
    isUrgent: Bool = false, logger: Logger
  ) {
    self.topic = topic
    self.direction = direction
    self.origin = origin
    self.destination = destination
    self.store = store
    self.settings = settings
    self.isUrgent = isUrgent
    self.logger = logger
  }

  /// Mirrors until ``stop()`` or cancellation. Errors of the clusters are retried for as long as it takes
  /// and told in ``progress`` meanwhile; a fault ends it, and stands there, too.
  ///
  /// Throws: the store's error; ``KafkaError`` - the topic has been unknown for a minute: it is gone.
  package func run() async throws {
    var startOver = StartOver()
    while !stopping, !Task.isCancelled {
      let start = ContinuousClock.now
      do {
        let lane = try RekeyLane(
          topic, direction: direction, origin: origin, destination: destination, store: store,
          settings: settings, isUrgent: isUrgent, progress: progress,
          sizes: try await sizes())
        guard !stopping else { return }
        running = lane
        defer { running = nil }
        try await lane.run()
        progress.trouble = nil
        return
      } catch let fault as MirrorFault {
        return stop(at: fault)
      } catch is CancellationError {
        return
      } catch let error as KafkaError {
        guard !stopping, !Task.isCancelled else {
          logger.notice(
            "\(direction.rawValue) mirror of \(topic.source) stops; its next start compares what is in doubt: \(error.summary)"
          )
          return
        }
        let pause = try startOver.pause(after: error, of: start)
        progress.trouble = error.summary
        logger.notice(
          "\(direction.rawValue) mirror of \(topic.source) starts over: \(error.summary)")
        try? await Task.sleep(for: pause)
      }
    }
  }

  private func sizes() async throws -> DestinationSizes {
    let name = topic.partitions(on: direction.destination)[0].topic
    return try await DestinationSizes(of: [name], Admin(destination, readCommitted: false))
  }

  /// All partitions of the topic stand still with the one that is named.
  private func stop(at fault: MirrorFault) {
    logger.error("\(fault.summary)")
    let first = topic.keys(on: direction.origin)[0]
    var told =
      progress.all[first] ?? PartitionProgress(position: Offset(0), destinationEnd: Offset(.max))
    told.fault = fault
    progress.update([first: told])
  }

  /// Ends ``run()`` once the round that is under way has been stored.
  package func stop() {
    stopping = true
    running?.stop()
  }

  /// From now on nothing is backfill.
  package func hurry() {
    isUrgent = true
    running?.hurry()
  }
}
