internal import Cutover
internal import Foundation
internal import Kafka
internal import KafkaModel
internal import Logging
internal import Mirror
internal import Offsets
internal import Plan
internal import Synchronization

/// Everything the steps of one stage work with.
final class StageContext: Sendable {
  let plan: MigrationPlan
  let stage: StagePlan
  private let planned: Mutex<[PlannedTopic]>
  /// As they stand now: a topic may grow.
  var topics: [PlannedTopic] { planned.withLock { $0 } }
  let groups: [String]
  let clusters: Clusters
  let ledger: Ledger
  let mirrors: MirrorControl
  let board: StatusBoard
  let topicBoard = TopicBoard()
  let tripwire = Tripwire()
  let logger: Logger
  let hookLog: HookLog
  private let knownGroupAdmins = Mutex<[ClusterRole: GroupAdmins]>([:])
  /// What was prepared for the window; `nil` before that, and after it.
  let kit = Mutex<WindowKit?>(nil)
  /// The gates were passed under this engine, not under one that died since.
  let passedGates = Atomic(false)
  /// What failed last is that something is not as it was reviewed.
  let hasDrifted = Atomic(false)

  init(
    plan: MigrationPlan, stage: StagePlan, estate: Estate, clusters: Clusters, ledger: Ledger,
    budgets: MirrorBudgets, order: BackfillOrder, board: StatusBoard, logger: Logger
  ) {
    self.plan = plan
    self.stage = stage
    planned = Mutex(estate.topics(of: stage.name))
    groups = estate.groups[stage.name] ?? []
    self.clusters = clusters
    self.ledger = ledger
    self.board = board
    var logger = logger
    logger[metadataKey: "stage"] = "\(stage.name)"
    self.logger = logger
    hookLog = HookLog(ledger, stage: stage.name)
    mirrors = MirrorControl(
      clusters: clusters, budgets: budgets, order: order,
      priority: { plan.topicRule(for: $0.topic)?.priority ?? 0 }, lanes: plan.mirror.lanes,
      memoryBytes: plan.mirror.memoryBytes, logger: logger,
      rekeyStore: JournalRekeyStore(ledger: ledger),
      store: { try JournalMapStore(ledger) { plan.topicRule(for: $0.topic)?.onGap == .accept } })
  }

  /// From now on the topic has so many partitions, on the target at least.
  func grow(_ topic: String, to count: Int32) {
    planned.withLock { topics in
      guard let index = topics.firstIndex(where: { $0.name == topic }) else { return }
      topics[index].partitionCount = count
      topics[index].targetPartitionCount = max(topics[index].targetPartitionCount, count)
    }
  }

  /// Clients for all groups of the stage, the same ones each time: they know who coordinates which.
  ///
  /// Throws: `KafkaError` - a property is wrong.
  func groupAdmins(_ role: ClusterRole) throws(KafkaError) -> GroupAdmins {
    try knownGroupAdmins.withLock { known throws(KafkaError) in
      if let admins = known[role] { return admins }
      let admins = try GroupAdmins(
        clusters.admin(role), clusters.connection(role), groups: groups)
      known[role] = admins
      return admins
    }
  }

  var machine: CutoverMachine { ledger.machine(of: stage.name) }

  /// Source names of all partitions that the stage moves.
  var partitions: [TopicPartition] { topics.flatMap(\.partitions) }

  /// The topic on which canaries travel; exists on both clusters under the same name.
  var canary: TopicPartition { TopicPartition("ferry.canary.\(plan.name).\(stage.name)", 0) }

  func targetName(of partition: TopicPartition) -> TopicPartition {
    topics.first { $0.name == partition.topic }?.target(of: partition) ?? partition
  }

  func name(of partition: TopicPartition, on role: ClusterRole) -> TopicPartition {
    role == .source ? partition : targetName(of: partition)
  }

  /// The partitions in which `role`'s cluster holds what is mirrored, by their topics' names on the source.
  func keys(on role: ClusterRole) -> [TopicPartition] { topics.flatMap { $0.keys(on: role) } }

  /// As ``keys(on:)``, as the cluster names them, in the same order.
  func partitions(on role: ClusterRole) -> [TopicPartition] {
    keys(on: role).map { name(of: $0, on: role) }
  }

  var hooks: HookRunner {
    let ledger = ledger
    let board = board
    let stage = stage.name
    return HookRunner(
      plan: plan, clusters: clusters, isAcknowledged: { ledger.isAcknowledged($0) },
      onWaiting: { board.setTask(stage, hook: $0, $1) })
  }

  /// Asks a gate's hook.
  ///
  /// Returns: what it printed.
  func ask(_ hook: Hook, gate: String) async throws -> String {
    let call = HookCall(
      action: .gate, stage: stage.name, attempt: machine.attempt, cluster: .source, gate: gate)
    return try await hooks.run(hook, call)
  }

  /// Runs a hook and journals what it printed. A missing hook is somebody else's work.
  func call(
    _ hook: Hook?, _ action: HookCall.Action, _ cluster: ClusterRole, group: String? = nil
  ) async throws {
    guard let hook else { return }
    let call = HookCall(
      action: action, stage: stage.name, attempt: machine.attempt, cluster: cluster, group: group)
    let start = ContinuousClock.now
    let output = try await hooks.run(hook, call)
    try await hookLog.write(
      HookRecord(
        id: call.stepID, hook: hook.summary, output: output,
        seconds: (ContinuousClock.now - start) / .seconds(1)))
    await Failpoint.pass("hook:\(action.rawValue):\(cluster.rawValue)", stage: stage.name)
  }

  /// A place in the middle of the step that is going on, for ``Failpoint``.
  func during(_ what: String) async {
    #if DEBUG
      let step = machine.step?.rawValue ?? ""
      await Failpoint.pass("during:\(step):\(what)", stage: stage.name)
    #endif
  }

  /// Repeats `body` while it fails for passing reasons, for at most `patience`.
  func steadily<Result: Sendable>(
    patience: Duration = .seconds(90), _ body: @Sendable () async throws -> Result
  ) async throws -> Result {
    let deadline = ContinuousClock.now + patience
    while true {
      try Task.checkCancellation()
      do {
        return try await body()
      } catch let error as KafkaError where error.isRetriable && ContinuousClock.now < deadline {
        logger.notice("\(error.summary); trying again")
        try await Task.sleep(for: .milliseconds(250))
      }
    }
  }

  /// Ends of logs by the partition's name on the source: last stable offsets, or high watermarks.
  func ends(
    on role: ClusterRole, stable: Bool, patience: Duration = .seconds(90)
  ) async throws -> [TopicPartition: Offset] {
    let admin = stable ? clusters.admin(role) : clusters.logs(role)
    let topics = topics
    let pairs = topics.flatMap { topic in
      topic.keys(on: role).map { ($0, role == .source ? $0 : topic.target(of: $0)) }
    }
    let names = pairs.map(\.1)
    let found = try await steadily(patience: patience) {
      try await admin.offsets(.end, of: names)
    }
    return Dictionary(uniqueKeysWithValues: pairs.map { ($0.0, found[$0.1] ?? Offset(0)) })
  }

  /// Everything translation needs to know of the stage's partitions, mirrored in `direction`.
  func translationSources(_ direction: Direction) async throws -> TranslationTable {
    let store = try JournalMapStore(ledger)
    let admin = clusters.logs(direction.destination)
    let names = partitions(on: direction.destination)
    let bounds = try await steadily { try await admin.bounds(of: names) }
    let maps = try store.maps(of: ordinaryPartitions)
    var sources: [TranslationSource] = []
    for topic in topics where topic.rekey == nil {
      for partition in topic.partitions {
        let target = topic.target(of: partition)
        let log = bounds[direction.destination == .source ? partition : target]!
        let map = maps[partition] ?? OffsetMap()
        sources.append(
          TranslationSource(
            map: map, source: partition, target: target, destinationStart: log.start,
            destinationEnd: log.end, strays: uncopiedStrays(in: map, partition),
            forwarded: forwardedStrays(in: map, partition)))
      }
    }
    return TranslationTable(sources, direction, rekeyed: try rekeyTranslations())
  }
}

extension StageContext {
  /// What others wrote to a source partition and what stays there.
  func strays(in map: OffsetMap, _ partition: TopicPartition) -> [Range<Offset>] {
    ledger.leftStrays(of: partition).flatMap { map.gaps(in: $0, on: .source) }
  }

  /// Those of this attempt of which the target has no copy.
  func uncopiedStrays(in map: OffsetMap, _ partition: TopicPartition) -> [Range<Offset>] {
    ledger.snapshot.uncopiedStrays(of: partition, attempt: machine.attempt)
      .flatMap { map.gaps(in: $0, on: .source) }
  }

  /// Those that were copied to the target and, as a record born there, back again.
  func forwardedStrays(in map: OffsetMap, _ partition: TopicPartition) -> [Range<Offset>] {
    ledger.snapshot.forwardedStrays(of: partition).flatMap { map.gaps(in: $0, on: .source) }
  }
}

/// A hook's run, as journalled.
package struct HookRecord: Codable, Sendable {
  package let id: String
  package let hook: String
  /// The first 2,000 bytes, secrets struck out.
  package let output: String
  package let seconds: Double
}
