package import Cutover
internal import Foundation
package import Journal
internal import Kafka
internal import KafkaModel
package import Logging
internal import Mirror
package import Plan
internal import Synchronization

/// Runs a migration: takes the lease, resumes every stage where its journal left it, listens to
/// operators, and ends when all stages rest.
package struct MigrationEngine: Sendable {
  private let plan: MigrationPlan
  private let journalPath: String
  private let logger: Logger

  /// What `ferry run` and its like ask for.
  package struct Request: Sendable {
    /// The digest that was reviewed.
    package var digest: String?
    /// Try rolled-back stages anew.
    package var again = false
    /// Only this stage; the others stay as they are.
    package var stage: String?
    /// A command to carry out first, as if it had come through the journal.
    package var command: NewCommand?

    package init() {}
  }

  /// How a run ended.
  package enum Outcome: Sendable {
    case finalized
    case rolledBack(stage: String, reason: String)
    /// `isDrift`: the clusters are not what was reviewed.
    case stopped(stage: String, step: Step, reason: String, isDrift: Bool)
    /// The stages run on, but something asked the engine to end.
    case interrupted
  }

  package init(plan: MigrationPlan, journalPath: String, logger: Logger) {
    self.plan = plan
    self.journalPath = journalPath
    self.logger = logger
  }

  /// Runs until every stage rests. Cancellation is graceful: what is in flight is stored and journalled.
  ///
  /// Throws: `EngineError`, `JournalError`, `PlanError`, `KafkaError` - before anything was done.
  package func run(
    _ request: Request, onStatus: @escaping @Sendable (MigrationStatus) -> Void
  ) async throws -> Outcome {
    if let wanted = request.digest, wanted != plan.digest {
      throw EngineError.digestDiffers(wanted: wanted, now: plan.digest)
    }
    let clusters = try Clusters(plan, logger: logger)
    let journal = try MigrationJournal.open(at: journalPath, mode: .create(migration: plan.name))
    let keeper = try await LeaseKeeper(journal)
    Failpoint.hit("recover:leased")
    return try await keeper.during {
      try await run(request, clusters, journal, keeper.lease, onStatus: onStatus)
    }
  }

  private func run(
    _ request: Request, _ clusters: Clusters, _ journal: MigrationJournal, _ lease: Lease,
    onStatus: @escaping @Sendable (MigrationStatus) -> Void
  ) async throws -> Outcome {
    if let known = try journal.fact("planDigest"), known != plan.digest {
      throw EngineError.planChanged(journalled: known, now: plan.digest)
    }
    let ledger = try Ledger(journal, lease: lease, strategies: plan.strategies)
    let estate = try await pinnedEstate(
      journal, ledger, clusters, isRollback: request.command?.kind == "rollback")
    try journal.setFact("planDigest", plan.digest, lease: lease)
    Failpoint.hit("recover:surveyed")

    let board = StatusBoard()
    let budgets = MirrorBudgets(plan.mirror, ledger.rates)
    let order = BackfillOrder()
    var runners: [StageRunner] = []
    for stage in plan.stages where request.stage == nil || request.stage == stage.name {
      let context = StageContext(
        plan: plan, stage: stage, estate: estate, clusters: clusters, ledger: ledger,
        budgets: budgets, order: order, board: board, logger: logger)
      runners.append(StageRunner(context: context, steps: StageSteps(context: context)))
    }
    // A command that no engine took in time was given up by whoever sent it: carrying it out now would
    // surprise everyone.
    for stale in try journal.openCommands() {
      try ledger.refuse(stale, "no engine took it when it was given; give it again")
    }
    let own = try request.command.map { try take($0, CommandRules(plan: plan, ledger: ledger)) }
    for runner in runners where request.again {
      if runner.context.machine.phase == .rolledBack {
        try ledger.record(.reopen, stage: runner.context.stage.name)
      }
    }
    try ledger.record(.engine, stage: nil, ["started": LeaseHolder.current.description])
    let desk = Desk(
      plan: plan, ledger: ledger, board: board, budgets: budgets, runners: runners,
      onStatus: onStatus)
    do {
      try await runStages(runners, desk, own)
    } catch is CancellationError {
      for runner in runners { await runner.context.mirrors.stop() }
      try desk.publish()
      return .interrupted
    }
    try desk.publish()
    return outcome(runners)
  }

  /// What the plan meant when the run began: topics that appear later are not moved.
  ///
  /// Throws: ``EngineError/topicDrift(topic:what:)`` - a topic is gone or has other partitions than then;
  /// not before a rollback, which must stay possible.
  private func pinnedEstate(
    _ journal: MigrationJournal, _ ledger: Ledger, _ clusters: Clusters, isRollback: Bool
  ) async throws -> Estate {
    let now = try await Estate.survey(plan, source: clusters.sourceAdmin)
    guard let pinned = try journal.fact("estate") else {
      let counts = now.topics.map { ($0.name, $0.partitionCount) }
      let estate = PinnedEstate(
        partitions: Dictionary(uniqueKeysWithValues: counts), groups: now.groups)
      try journal.setFact("estate", try JSON.text(estate), lease: ledger.lease)
      return now
    }
    let then = try JSON.value(PinnedEstate.self, pinned)
    for topic in now.topics where then.partitions[topic.name] == nil {
      logger.warning("topic \(topic.name) appeared after the run began: it is not moved")
    }
    var topics: [PlannedTopic] = []
    for (name, pinned) in then.partitions.sorted(by: { $0.key < $1.key }) {
      let count = max(pinned, ledger.growth[name] ?? 0)
      guard var topic = now.topics.first(where: { $0.name == name }) else {
        throw EngineError.topicDrift(topic: name, what: "it is gone from the source")
      }
      // What has been added since is for the stage to find, where the plan lets it be mirrored.
      let isGrowth = topic.partitionCount > count && topic.rule.onNewPartitions == .mirror
      if topic.partitionCount != count, !isRollback, !isGrowth {
        throw EngineError.topicDrift(
          topic: name,
          what: "the source had \(count) partitions when the run began, now \(topic.partitionCount)"
        )
      }
      topic.partitionCount = count
      if topic.rule.partitions == .same { topic.targetPartitionCount = count }
      topics.append(topic)
    }
    return Estate(topics: topics, groups: then.groups, findings: now.findings)
  }

  /// Takes in the command that this engine was started for. A rollback counts before anything is resumed:
  /// a stage that is to go back must not first try to go on. Others wait for their stage in the inbox.
  ///
  /// Returns: its number.
  /// Throws: ``EngineError/commandRefused(_:)``.
  private func take(_ new: NewCommand, _ rules: CommandRules) throws -> Int64 {
    let journal = rules.ledger.journal
    let id = try journal.submit(new)
    guard let command = try journal.command(id) else { throw JournalError.unknownCommand(id) }
    let decision = rules.decide(command)
    if case .refuse(let reason) = decision {
      try rules.settle(command, decision, accepted: "")
      throw EngineError.commandRefused(reason)
    }
    if command.kind == "rollback" { try rules.settle(command, decision, accepted: "accepted") }
    return id
  }

  /// Ends, with its error, when the command of this number is refused.
  private func watch(_ id: Int64, _ journal: MigrationJournal) async throws {
    while true {
      if let outcome = try journal.command(id)?.outcome, !outcome.accepted {
        throw EngineError.commandRefused(outcome.message)
      }
      try await Task.sleep(for: .milliseconds(100))
    }
  }

  private func runStages(
    _ runners: [StageRunner], _ desk: Desk, _ own: Int64?
  ) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await desk.listen() }
      group.addTask { try await desk.watch() }
      if let own { group.addTask { try await watch(own, desk.ledger.journal) } }
      group.addTask {
        try await withThrowingTaskGroup(of: Void.self) { stages in
          for runner in runners { stages.addTask { try await runner.run() } }
          // Not `waitForAll`: what ends one stage without its journal ends the engine.
          while try await stages.next() != nil {}
        }
      }
      // The desk never ends by itself, so the first to end is the stages, or an error.
      defer { group.cancelAll() }
      try await group.next()
      group.cancelAll()
      while true {
        do {
          guard try await group.next() != nil else { return }
        } catch is CancellationError {}
      }
    }
  }

  private func outcome(_ runners: [StageRunner]) -> Outcome {
    for runner in runners {
      let machine = runner.context.machine
      let stage = runner.context.stage.name
      if let failure = machine.failure {
        return .stopped(
          stage: stage, step: failure.step, reason: failure.reason,
          isDrift: runner.context.hasDrifted.load(ordering: .relaxed))
      }
      if machine.phase == .rolledBack {
        return .rolledBack(stage: stage, reason: machine.rollbackReason ?? "")
      }
    }
    return .finalized
  }
}

extension Phase {
  /// Later stages may begin their window.
  var isSettled: Bool { self == .soaking || self == .finalized }
}

/// What the plan meant when the run began, as journalled.
struct PinnedEstate: Codable {
  let partitions: [String: Int32]
  /// By stage.
  let groups: [String: [String]]
}
