internal import Cutover
internal import Foundation
internal import Journal
internal import KafkaModel
internal import Mirror
package import Plan

/// The engine's ear and mouth: takes operators' commands from the journal and publishes
/// status.
struct Desk: Sendable {
  let plan: MigrationPlan
  let ledger: Ledger
  let board: StatusBoard
  let budgets: MirrorBudgets
  let runners: [StageRunner]
  let onStatus: @Sendable (MigrationStatus) -> Void

  /// Takes commands and publishes status until cancelled, whatever the clusters do.
  ///
  /// Throws: `JournalError` - above all `fenced`: another engine took over.
  func listen() async throws {
    var ticks = 0
    while true {
      try takeCommands()
      if ticks % 10 == 0 { try publish() }
      ticks += 1
      try await Task.sleep(for: .milliseconds(50))
    }
  }

  /// Looks at the clusters until cancelled. Apart from listening: a cluster that does not answer keeps
  /// nobody waiting.
  func watch() async throws {
    while true {
      await sample()
      try await Task.sleep(for: .milliseconds(500))
    }
  }

  private func takeCommands() throws {
    for command in try ledger.journal.openCommands() {
      switch command.kind {
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
          Acknowledgement(hook: hook, order: Order(command)),
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
      case "veto":
        guard let stage = command.stage, let stopped = board.decideCountdown(stage) else {
          try ledger.refuse(command, "no automatic rollback is about to begin")
          continue
        }
        try ledger.record(
          .veto, stage: stage,
          Veto(
            trigger: stopped.trigger, attempt: ledger.machine(of: stage).attempt,
            order: Order(command)),
          answer: (
            command: command.id,
            outcome: CommandOutcome(
              accepted: true, message: "stopped, until its condition has cleared")
          ))
      case "strays":
        try decideStrays(command)
      default:
        try pass(on: command)
      }
    }
  }

  /// Copying takes time, and what became of it is to be known before anything else is decided.
  private func decideStrays(_ command: OperatorCommand) throws {
    guard let runner = runners.first(where: { $0.context.stage.name == command.stage }) else {
      try ledger.refuse(command, "the plan has no stage \(command.stage ?? "")")
      return
    }
    let stage = runner.context.stage.name
    let tripwire = runner.context.tripwire
    let open = ledger.forwarding(of: stage)
    guard !runner.strayQueue.knows(command), open == nil || open?.command != command.id else {
      return
    }
    do {
      if let refusal = StrayDesk.refusal(command, ledger.machine(of: stage).phase) {
        try StrayDesk.refuse(command, refusal, ledger)
      } else if open != nil {
        runner.strayQueue.put(command)
      } else if StrayDesk.isToForward(command) {
        _ = try StrayDesk.wanted(command, tripwire.strays, ledger)
        runner.strayQueue.put(command)
      } else {
        let strays = try tripwire.claim { try StrayDesk.wanted(command, $0, ledger) }
        _ = try StrayDesk.leave(strays, command, stage, ledger)
        tripwire.decide(strays)
      }
    } catch EngineError.commandRefused {
      // It has its answer.
    }
  }

  /// Commands that change what a running step does go to the stage's runner, which stops the step first.
  private func pass(on command: OperatorCommand) throws {
    let rules = CommandRules(plan: plan, ledger: ledger)
    let runner = runners.first { $0.context.stage.name == command.stage }
    if let runner {
      let machine = runner.context.machine
      let isRunning = machine.step != nil || machine.phase == .soaking
      let isAtGates = machine.step == .approve || machine.step == .follow
      if isRunning,
        ["rollback", "finalize"].contains(command.kind) || (command.kind == "pause" && isAtGates)
      {
        runner.queue.put(command)
        return
      }
    }
    try rules.settle(
      command, rules.decide(command), accepted: "accepted; `ferry run` carries it out")
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
      await lookAtCosts(runner)
      board.setToDrain(stage, isReverse ? try? await runner.steps.reverseLag() : nil)
    }
  }

  /// Every five seconds: all maps and commits are read for it.
  private func lookAtCosts(_ runner: StageRunner) async {
    let stage = runner.context.stage.name
    let live = board.live(stage)
    let wayBack = runner.context.machine.wayBack
    guard wayBack != .underway else { return }
    if live.costs?.wayBack == wayBack, let at = live.costsAt, .now - at < .seconds(5) { return }
    if let costs = try? await runner.steps.rollbackCosts() {
      board.setCosts(stage, costs)
    } else if wayBack == .nothingToUndo || wayBack == .none {
      board.setCosts(stage, nil)
    }
  }

  func publish() throws {
    let status = MigrationStatus(
      plan: plan, engine: LeaseHolder.current.description, folded: ledger.snapshot,
      live: { board.live($0) },
      forecast: { stage in
        runners.first { $0.context.stage.name == stage }
          .flatMap { RollbackForecaster(context: $0.context).forecast() }
      },
      strays: { stage in
        runners.first { $0.context.stage.name == stage }?.context.tripwire.strays ?? []
      })
    try ledger.journal.publishStatus(try JSON.text(status), lease: ledger.lease)
    onStatus(status)
  }
}

extension MigrationStatus {
  init(
    plan: MigrationPlan, engine: String?, folded: Folded, live: (String) -> StatusBoard.Live,
    forecast: (String) -> RollbackForecast?, strays: (String) -> [StrayWrite]
  ) {
    self.rates = Throttling.rates(plan.mirror, folded.rates)
    migration = plan.name
    change = plan.change
    planDigest = plan.digest
    self.engine = engine
    time = Date().timeIntervalSince1970
    stages = plan.stages.map { stage in
      let machine = folded.machine(of: stage.name)
      let live = live(stage.name)
      var found = Stage(
        stage: stage.name, state: machine.phase, step: machine.step, waitingFor: live.waitingFor,
        records: live.records, bytes: live.bytes, lag: live.lag, recordsPerSecond: live.rate,
        failure: machine.failure.map { "\($0.step.rawValue): \($0.reason)" },
        rollbackReason: machine.rollbackReason, faults: live.faults, trouble: live.trouble,
        attempt: machine.attempt, approvals: folded.approvals[stage.name, default: []].sorted(),
        wayBack: machine.wayBack, strategy: machine.strategy, topics: live.topics,
        gaps: folded.gaps.filter { plan.stage(forTopic: $0.partition.topic)?.name == stage.name },
        forecast: forecast(stage.name), strays: strays(stage.name),
        rolledBack: folded.rollbackOutcome(stage.name))
      found.windowSeconds = folded.windowSeconds[stage.name]
      found.strayDecisions = (folded.strays[stage.name] ?? []).filter {
        $0.attempt == machine.attempt
      }.map(\.brief)
      found.gates = live.gates
      found.waivers = folded.waivers(of: stage.name)
      found.paused = folded.holds[stage.name]
      found.countdown = live.countdown.map {
        Countdown(
          reason: $0.reason,
          secondsLeft: max(0, Int((($0.ends - .now) / .seconds(1)).rounded(.up))))
      }
      return found
    }
  }

  /// The state of a migration as its journal tells it, engine running or not.
  ///
  /// Throws: `JournalError`; a decoding error where the journal is not this version's.
  package static func read(_ plan: MigrationPlan, journalPath: String) throws -> MigrationStatus {
    let journal = try MigrationJournal.open(at: journalPath, mode: .readOnly)
    // An operator's command has the lease for a moment, too, and publishes nothing.
    if let holder = try journal.currentLease(), let latest = try journal.latestStatus() {
      let status = try JSON.value(MigrationStatus.self, latest.json)
      if status.engine == holder.description { return status }
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
      plan: plan, engine: nil, folded: folded, live: { known[$0] ?? StatusBoard.Live() },
      forecast: { seen[$0] }, strays: { stray[$0] ?? [] })
  }
}
