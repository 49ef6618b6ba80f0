internal import Cutover
package import Journal
internal import Kafka
internal import KafkaModel
package import Logging
package import Plan

/// Decides about strays where no engine runs: what others wrote is then looked up on the source.
package struct StrayDesk: Sendable {
  private let plan: MigrationPlan
  private let journal: MigrationJournal
  private let logger: Logger

  package init(_ plan: MigrationPlan, _ journal: MigrationJournal, logger: Logger) {
    self.plan = plan
    self.journal = journal
    self.logger = logger
  }

  /// Records that stand on the source of a stage and that the journal does not know: strays, or the
  /// mirror's own that were not noted before the engine ended.
  ///
  /// Throws: `JournalError`, `KafkaError`, `PlanError`.
  package func unknown(_ stage: String) async throws -> [StrayWrite] {
    let folded = try Folded(journal, strategies: plan.strategies)
    guard folded.machine(of: stage).phase.isReverseMirrored else { return [] }
    let rows = try journal.partitions().filter {
      plan.stage(forTopic: $0.source.topic)?.name == stage
    }
    let logs = try Clusters(plan, logger: logger).sourceLogs
    let ends = try await logs.offsets(.end, of: rows.map(\.source))
    return rows.compactMap { row in
      let base = folded.bases[.reverse]?[row.source] ?? Offset(0)
      let known = Stretches(ranges: folded.leftStrays(of: row.source, attempt: nil))
        .passing(max(base, row.sourceEnd ?? base))
      guard let end = ends[row.source], end > known else { return nil }
      return StrayWrite(partition: row.source, from: known, count: end - known)
    }
  }

  /// Carries `ferry strays --leave` out.
  ///
  /// Returns: what came of it.
  /// Throws: ``EngineError/commandRefused(_:)``; as ``unknown(_:)``.
  package func leave(_ command: NewCommand) async throws -> String {
    let stage = command.stage ?? ""
    let found = try await unknown(stage)
    let lease = try journal.acquireLease(holder: .current, duration: LeaseKeeper.duration)
    defer { journal.release(lease) }
    let ledger = try Ledger(journal, lease: lease, strategies: plan.strategies)
    let id = try journal.submit(command)
    guard let given = try journal.command(id) else { throw JournalError.unknownCommand(id) }
    return try Self.settle(given, stage, found, ledger).summary
  }

  /// Answers the command, and journals the decision.
  ///
  /// Returns: it.
  /// Throws: ``EngineError/commandRefused(_:)`` where there is nothing to decide about.
  static func settle(
    _ command: OperatorCommand, _ stage: String, _ open: [StrayWrite], _ ledger: Ledger
  ) throws -> StrayDecision {
    let arguments = (try? JSON.value([String: String].self, command.arguments)) ?? [:]
    let wanted = open.filter {
      arguments["partition"] == nil || $0.partition.description == arguments["partition"]
    }
    let refusal: String? =
      if command.reason?.contains(where: { !$0.isWhitespace }) != true {
        "strays are left for a reason only: --reason"
      } else if wanted.isEmpty {
        open.isEmpty
          ? "nothing is known of a stray write"
          : "no stray write to \(arguments["partition"] ?? "") is known, only to \(open.map(\.partition.description).joined(separator: ", "))"
      } else { nil }
    if let refusal {
      try ledger.refuse(command, refusal)
      throw EngineError.commandRefused(refusal)
    }
    let decision = StrayDecision(
      strays: wanted, attempt: ledger.machine(of: stage).attempt, order: Order(command))
    try ledger.record(
      .stray, stage: stage, decision,
      answer: (command.id, CommandOutcome(accepted: true, message: decision.summary)))
    return decision
  }
}
