internal import Cutover
internal import Journal
internal import Kafka
internal import KafkaModel
internal import Mirror
internal import Plan
internal import Synchronization
internal import Validation

/// What the window needs and can be had before it: clients that are connected and know where the stage's
/// partitions are.
struct WindowKit: Sendable {
  let comparators: [Comparator]
  /// Sends the canary on the target, and sees it on the source.
  let canaryWriter: RecordWriter
  let canaryReader: PartitionReader
}

extension StageSteps {
  /// Does what need not be done while clients stand still. It decides nothing: each step looks for itself
  /// at what it rests on.
  ///
  /// Returns: what it spent its time on.
  @discardableResult
  func prepareWindow() async throws -> [StepPart] {
    var watch = Stopwatch()
    let isFenceNext = context.stage.strategy == .together || context.machine.step != .approve
    if context.stage.strategy == .together || !isFenceNext {
      try await meetCoordinators()
      watch.lap("prepared: the groups' brokers are known")
    }
    guard isFenceNext else { return watch.parts }
    // Creating a topic takes a while, too.
    try await readyCanary()
    watch.lap("prepared: canary topics are there")
    let reverse = [context.canary] + context.ordinaryPartitions
    try await context.steadily { try await context.mirrors.prepare(.reverse, reverse) }
    watch.lap("prepared: the reverse mirror is connected")
    if context.kit.withLock({ $0 }) == nil {
      let kit = try await context.steadily { try await openKit() }
      context.kit.withLock { $0 = kit }
    }
    watch.lap("prepared: other clients are connected")
    try await compareNews()
    watch.lap("prepared: what was mirrored lately is compared")
    return watch.parts
  }

  /// The canary's topic on both clusters, known to the journal.
  func readyCanary() async throws {
    try await createCanaries()
    _ = try context.ledger.journal.registerPartition(
      source: context.canary, target: context.canary, lease: context.ledger.lease)
  }

  /// Asks for the groups on both clusters. The answers do not matter: after that it is known which broker
  /// looks after each group, and a cluster that never had a group has made room for their commits.
  private func meetCoordinators() async throws {
    let groups = context.groups
    for role in ClusterRole.allCases {
      let admin = try context.groupAdmins(role)
      _ = try await context.steadily { try await admin.describeGroups(groups) }
      _ = try await context.steadily { try await admin.committedOffsets(of: groups) }
    }
  }

  private func openKit() async throws -> WindowKit {
    let topics = ClusterRole.allCases.map { role in
      Set(context.partitions(on: role).map(\.topic))
    }
    var comparators: [Comparator] = []
    for _ in 0..<Self.comparators {
      let comparator = try Comparator(
        source: context.clusters.source, target: context.clusters.target)
      try await comparator.prepare(source: topics[0], target: topics[1])
      comparators.append(comparator)
    }
    let writer = try RecordWriter(context.clusters.target)
    try await writer.prepare(context.canary.topic)
    let reader = try PartitionReader(context.clusters.source)
    try await reader.prepare([context.canary.topic])
    return WindowKit(comparators: comparators, canaryWriter: writer, canaryReader: reader)
  }

  /// Two read at a time: one partition's reading fills the other's pauses.
  static let comparators = 2
}
