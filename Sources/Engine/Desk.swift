internal import Cutover
internal import Foundation
internal import Journal
internal import KafkaModel
internal import Mirror
package import Plan

/// The engine's ear and mouth: takes operators' commands from the journal, keeps the lease, and
/// publishes status.
struct Desk: Sendable {
  let plan: MigrationPlan
  let ledger: Ledger
  let board: StatusBoard
  let budgets: MirrorBudgets
  let runners: [StageRunner]
  let onStatus: @Sendable (MigrationStatus) -> Void

  /// Works until cancelled.
  ///
  /// Throws: `JournalError` - above all `fenced`: another engine took over.
  func run() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await listen() }
      // Apart: a cluster that does not answer keeps nobody waiting.
      group.addTask { try await watch() }
      defer { group.cancelAll() }
      try await group.next()
    }
  }

  private func watch() async throws {
    while true {
      await sample()
      try await Task.sleep(for: .milliseconds(500))
    }
  }

  private func listen() async throws {
    var ticks = 0
    while true {
      try takeCommands()
      if ticks % 10 == 0 {
        try ledger.journal.renew(ledger.lease, duration: MigrationEngine.leaseDuration)
        try publish()
      }
      ticks += 1
      try await Task.sleep(for: .milliseconds(50))
    }
  }

  private func takeCommands() throws {
    for command in try ledger.journal.openCommands() {
      switch command.kind {
      case "approve":
        guard let stage = command.stage, plan.stage(named: stage) != nil else {
          try ledger.refuse(command, "the plan has no stage \(command.stage ?? "")")
          continue
        }
        try ledger.record(
          .approval, stage: stage,
          Approval(by: command.user, attempt: ledger.machine(of: stage).attempt),
          answer: (
            command: command.id, outcome: CommandOutcome(accepted: true, message: "approved")
          )
        )
      case "ack":
        // `FERRY_STEP_ID` is as good as the id that `ferry status` shows.
        var hook = (try? JSON.value([String: String].self, command.arguments))?["hook"] ?? ""
        if hook.hasPrefix("\(plan.name)/") { hook = String(hook.dropFirst(plan.name.count + 1)) }
        let stage = runners.map(\.context.stage.name).first {
          board.live($0).tasks[hook] != nil
        }
        guard let stage else {
          try ledger.refuse(command, "no manual hook \(hook) waits now")
          continue
        }
        try ledger.record(
          .acknowledgement, stage: stage,
          Acknowledgement(hook: hook, by: command.user),
          answer: (
            command: command.id, outcome: CommandOutcome(accepted: true, message: "acknowledged")
          ))
      case "throttle":
        guard let throttling = Throttling(command) else {
          try ledger.refuse(command, "the command names no rate")
          continue
        }
        try ledger.record(
          .throttle, stage: nil, throttling,
          answer: (
            command: command.id, outcome: CommandOutcome(accepted: true, message: "throttled")
          ))
        budgets.set(ledger.rates)
        try publish()
      case "rollback", "finalize":
        guard let runner = runners.first(where: { $0.context.stage.name == command.stage }) else {
          try ledger.refuse(command, "the plan has no stage \(command.stage ?? "")")
          continue
        }
        let machine = runner.context.machine
        if machine.step == nil, machine.phase != .soaking {
          try decideAtRest(command, machine)
        } else {
          runner.queue.put(command)
        }
      default:
        try ledger.refuse(command, "this engine does not know the command \(command.kind)")
      }
    }
  }

  /// A stage whose runner has ended: the command may still move it, from its failure for instance.
  private func decideAtRest(_ command: OperatorCommand, _ machine: CutoverMachine) throws {
    guard let event = StageRunner.event(of: command) else { return }
    var copy = machine
    do {
      _ = try copy.apply(event)
      try ledger.record(
        event, stage: command.stage ?? "",
        answer: (
          command: command.id,
          outcome: CommandOutcome(accepted: true, message: "accepted; `ferry run` carries it out")
        ))
    } catch let error as CutoverError {
      try ledger.refuse(command, error.summary)
    }
  }

  private func sample() async {
    for runner in runners {
      let stage = runner.context.stage.name
      guard let progress = try? await runner.context.mirrors.uncheckedProgress() else { continue }
      board.setMirror(
        stage, records: progress.values.reduce(0) { $0 + $1.records },
        bytes: progress.values.reduce(0) { $0 + $1.bytes },
        faults: progress.values.compactMap { $0.fault?.summary }.sorted(),
        trouble: await runner.context.mirrors.trouble)
      await runner.context.topicBoard.sample(runner.context)
      let topics = runner.context.topicBoard.topics(runner.context.topics)
      board.setTopics(stage, topics)
      let isForward = runner.context.machine.phase.isForwardMirrored && !topics.isEmpty
      board.setLag(stage, isForward ? topics.reduce(0) { $0 + $1.lag } : nil)
      let isReverse = runner.context.machine.phase.isReverseMirrored
      try? await runner.steps.checkTripwire()
      board.setToDrain(stage, isReverse ? try? await runner.steps.reverseLag() : nil)
    }
  }

  func publish() throws {
    let status = MigrationStatus(
      plan: plan, engine: LeaseHolder.current.description, machines: { ledger.machine(of: $0) },
      approvals: { ledger.approvals(of: $0) }, live: { board.live($0) }, rates: ledger.rates,
      gaps: ledger.gaps,
      forecast: { stage in
        runners.first { $0.context.stage.name == stage }
          .flatMap { RollbackForecaster(context: $0.context).forecast() }
      },
      strays: { stage in
        runners.first { $0.context.stage.name == stage }?.context.tripwire.strays ?? []
      }, rolledBack: { ledger.rollbackOutcome($0) })
    try ledger.journal.publishStatus(try JSON.text(status), lease: ledger.lease)
    onStatus(status)
  }
}

extension MigrationStatus {
  init(
    plan: MigrationPlan, engine: String?, machines: (String) -> CutoverMachine,
    approvals: (String) -> Set<String>, live: (String) -> StatusBoard.Live,
    rates: [Throttling.Budget: Int64], gaps: [AcceptedGap],
    forecast: (String) -> RollbackForecast?, strays: (String) -> [StrayWrite],
    rolledBack: (String) -> RollbackOutcome?
  ) {
    self.rates = Throttling.rates(plan.mirror, rates)
    migration = plan.name
    change = plan.change
    planDigest = plan.digest
    self.engine = engine
    time = Date().timeIntervalSince1970
    stages = plan.stages.map { stage in
      let machine = machines(stage.name)
      let live = live(stage.name)
      return Stage(
        stage: stage.name, state: machine.phase, step: machine.step, waitingFor: live.waitingFor,
        records: live.records, bytes: live.bytes, lag: live.lag, recordsPerSecond: live.rate,
        failure: machine.failure.map { "\($0.step.rawValue): \($0.reason)" },
        rollbackReason: machine.rollbackReason, faults: live.faults, trouble: live.trouble,
        attempt: machine.attempt, approvals: approvals(stage.name).sorted(),
        wayBack: machine.wayBack, strategy: machine.strategy, topics: live.topics,
        gaps: gaps.filter { plan.stage(forTopic: $0.partition.topic)?.name == stage.name },
        forecast: forecast(stage.name), strays: strays(stage.name),
        rolledBack: rolledBack(stage.name))
    }
  }

  /// The state of a migration as its journal tells it, engine running or not.
  ///
  /// Throws: `JournalError`; a decoding error where the journal is not this version's.
  package static func read(_ plan: MigrationPlan, journalPath: String) throws -> MigrationStatus {
    let journal = try MigrationJournal.open(at: journalPath, mode: .readOnly)
    if try journal.currentLease() != nil, let latest = try journal.latestStatus() {
      return try JSON.value(MigrationStatus.self, latest.json)
    }
    let folded = try Folded(journal, strategies: plan.strategies)
    // Faults are known only to an engine: what the last one saw still holds.
    var boards: [String: StatusBoard.Live] = [:]
    var forecasts: [String: RollbackForecast] = [:]
    var strays: [String: [StrayWrite]] = [:]
    if let latest = try journal.latestStatus(),
      let last = try? JSON.value(MigrationStatus.self, latest.json)
    {
      for stage in last.stages {
        boards[stage.stage] = StatusBoard.Live(faults: stage.faults)
        if stage.wayBack == folded.machine(of: stage.stage).wayBack {
          forecasts[stage.stage] = stage.forecast
          strays[stage.stage] = stage.strays
        }
      }
    }
    let seen = forecasts
    let stray = strays
    let known = boards
    return MigrationStatus(
      plan: plan, engine: nil, machines: { folded.machine(of: $0) },
      approvals: { folded.approvals[$0] ?? [] }, live: { known[$0] ?? StatusBoard.Live() },
      rates: folded.rates, gaps: folded.gaps,
      forecast: { seen[$0] }, strays: { stray[$0] ?? [] },
      rolledBack: { folded.rollbackOutcome($0) })
  }
}
