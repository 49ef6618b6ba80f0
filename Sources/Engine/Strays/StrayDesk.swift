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
    var cuts: [String: RekeyCut] = [:]
    for topic in Set(rows.map(\.source.topic)) {
      cuts[topic] = try journal.lastRekeyCut(of: topic)
    }
    return rows.compactMap { row in
      let base = folded.bases[.reverse]?[row.source] ?? Offset(0)
      let mapped = row.sourceEnd ?? cuts[row.source.topic]?.source[Int(row.source.partition)]
      let known = Stretches(ranges: folded.leftStrays(of: row.source))
        .passing(max(base, mapped ?? base))
      guard let end = ends[row.source], end > known else { return nil }
      return StrayWrite(partition: row.source, from: known, count: end - known)
    }
  }

  /// Carries `ferry strays --leave` and `--forward` out.
  ///
  /// Returns: what came of it.
  /// Throws: ``EngineError/commandRefused(_:)``; as ``unknown(_:)``.
  package func decide(_ command: NewCommand) async throws -> String {
    let stage = command.stage ?? ""
    let clusters = try Clusters(plan, logger: logger)
    let keeper = try await LeaseKeeper(journal)
    return try await keeper.during {
      let ledger = try Ledger(journal, lease: keeper.lease, strategies: plan.strategies)
      let id = try journal.submit(command)
      guard let given = try journal.command(id) else { throw JournalError.unknownCommand(id) }
      if let refusal = Self.refusal(given, ledger.machine(of: stage).phase) {
        try Self.refuse(given, refusal, ledger)
      }
      let forwarder = StrayForwarder(
        stage: stage, clusters: clusters, ledger: ledger, logger: logger)
      if let open = ledger.forwarding(of: stage) {
        return try await forwarder.finish(open, isFresh: false, for: given).map(\.summary)
          .joined(separator: "; ")
      }
      let wanted = try Self.wanted(given, try await unknown(stage), ledger)
      guard Self.isToForward(given) else {
        return try Self.leave(wanted, given, stage, ledger).summary
      }
      guard
        let forwarding = try await forwarder.intend(wanted, order: Order(given), command: id)
          .forwarding
      else {
        throw try Self.refused(given, "no stray record can be read there", ledger)
      }
      return try await forwarder.finish(forwarding, isFresh: true).map(\.summary)
        .joined(separator: "; ")
    }
  }

  /// Whether the command asks for copies on the target.
  static func isToForward(_ command: OperatorCommand) -> Bool {
    arguments(command)["forward"] != nil
  }

  private static func arguments(_ command: OperatorCommand) -> [String: String] {
    (try? JSON.value([String: String].self, command.arguments)) ?? [:]
  }

  /// Why a command cannot be met in this phase, whatever was found; `nil` where it can.
  static func refusal(_ command: OperatorCommand, _ phase: Phase) -> String? {
    if command.reason?.contains(where: { !$0.isWhitespace }) != true {
      return "strays are decided about for a reason only: --reason"
    }
    guard isToForward(command), phase != .soaking else { return nil }
    return
      "strays are forwarded while the stage soaks, and it is \(phase.rawValue); `--leave` leaves them on the source"
  }

  /// Answers the command with a refusal.
  ///
  /// Throws: ``EngineError/commandRefused(_:)``, always.
  static func refuse(_ command: OperatorCommand, _ refusal: String, _ ledger: Ledger) throws {
    throw try refused(command, refusal, ledger)
  }

  private static func refused(
    _ command: OperatorCommand, _ refusal: String, _ ledger: Ledger
  ) throws -> EngineError {
    try ledger.refuse(command, refusal)
    return .commandRefused(refusal)
  }

  /// Which of the strays that were found a command is about.
  ///
  /// Throws: ``EngineError/commandRefused(_:)`` - about none; the command has its answer.
  static func wanted(
    _ command: OperatorCommand, _ open: [StrayWrite], _ ledger: Ledger
  ) throws -> [StrayWrite] {
    let partition = arguments(command)["partition"]
    let wanted = open.filter { partition == nil || $0.partition.description == partition }
    if isToForward(command),
      let stray = try wanted.first(where: {
        try ledger.journal.lastRekeyCut(of: $0.partition.topic) != nil
      })
    {
      throw try refused(
        command,
        "\(stray.partition.topic) is rekeyed: what others write there cannot be forwarded; `--leave` leaves it on the source, and gives up the way back",
        ledger)
    }
    guard wanted.isEmpty else { return wanted }
    throw try refused(
      command,
      open.isEmpty
        ? "nothing is known of a stray write"
        : "no stray write to \(partition ?? "") is known, only to \(open.map(\.partition.description).joined(separator: ", "))",
      ledger)
  }

  /// Answers the command, and journals that the strays stay on the source.
  ///
  /// Returns: the decision.
  static func leave(
    _ strays: [StrayWrite], _ command: OperatorCommand, _ stage: String, _ ledger: Ledger
  ) throws -> StrayDecision {
    let decision = StrayDecision(
      strays: strays, attempt: ledger.machine(of: stage).attempt, order: Order(command))
    try ledger.record(
      .stray, stage: stage, decision,
      answer: (command.id, CommandOutcome(accepted: true, message: decision.summary)))
    return decision
  }
}
