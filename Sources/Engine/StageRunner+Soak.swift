internal import Cutover
internal import Kafka
internal import KafkaModel
internal import Logging
internal import Mirror
internal import Plan

extension StageRunner {
  /// What a trigger of the plan has come to.
  private struct Watch {
    var aboveSince: ContinuousClock.Instant
    /// When the rollback begins; `nil` while the condition has not lasted long enough.
    var due: ContinuousClock.Instant?
    var reason = ""
  }

  /// Watches the moved clients until a person decides or a trigger of the plan fires, waits out its
  /// grace and is not stopped.
  func soak() async throws -> Outcome {
    let start = ContinuousClock.now
    defer { context.board.setWaiting(stage, nil) }
    return try await watchTriggers { next, trouble in
      context.board.setWaiting(stage, trouble ?? waiting(since: start, next))
    }
  }

  /// Watches groups that have moved before their producers, as ``soak()`` does; gates say what is waited
  /// for meanwhile.
  func watchMovedGroups() async throws -> Outcome { try await watchTriggers { _, _ in } }

  private func watchTriggers(_ onLook: (Watch?, String?) -> Void) async throws -> Outcome {
    var watches: [Int: Watch] = [:]
    defer { context.board.setCountdown(stage, nil) }
    var forwarding = ForwardingTrouble()
    while true {
      if context.machine.phase == .soaking { try await forwardStrays(&forwarding) }
      for (index, trigger) in context.stage.rollbackOn.enumerated() {
        try await look(at: trigger, index, &watches)
      }
      if context.stage.strays == .rollback, context.machine.phase == .soaking {
        try lookForStrays(&watches)
      }
      let next = watches.filter { $0.value.due != nil }.min { $0.value.due! < $1.value.due! }
      if let next, let due = next.value.due {
        if context.board.live(stage).countdown?.trigger != next.key {
          context.board.setCountdown(
            stage,
            StatusBoard.Countdown(trigger: next.key, reason: next.value.reason, ends: due))
        }
        // Either this takes the countdown or a veto does, never both. The way back has to know which strays
        // have a copy on the target.
        if ContinuousClock.now >= due, context.ledger.forwarding(of: stage) == nil,
          context.board.decideCountdown(stage) != nil
        {
          if next.key == strayTrigger, try await !leaveStrays() {
            watches[next.key] = nil
            continue
          }
          return .event(.rollback(reason: EngineError.trigger(next.value.reason).summary))
        }
      } else {
        context.board.setCountdown(stage, nil)
      }
      onLook(next?.value, forwarding.text)
      try await Task.sleep(for: .milliseconds(200))
    }
  }

  /// Numbered behind the triggers of the plan.
  private var strayTrigger: Int { context.stage.rollbackOn.count }

  private func lookForStrays(_ watches: inout [Int: Watch]) throws {
    let index = strayTrigger
    let strays = context.tripwire.strays
    let isVetoed = context.ledger.vetoes(of: stage).contains(index)
    guard !strays.isEmpty else {
      return try clear(index, &watches)
    }
    var watch = watches[index] ?? Watch(aboveSince: .now)
    watch.due = isVetoed ? nil : watch.due ?? .now + StrayPolicy.grace
    watch.reason = strays.map(\.summary).joined(separator: "; ")
    watches[index] = watch
  }

  /// Lets the reverse mirror go on around what others wrote: the way back needs it.
  ///
  /// Returns: whether it does, within half a minute.
  private func leaveStrays() async throws -> Bool {
    let strays = context.tripwire.claim { $0 }
    guard !strays.isEmpty else { return false }
    try context.ledger.record(
      .stray, stage: stage,
      StrayDecision(strays: strays, attempt: context.machine.attempt, order: nil))
    context.tripwire.decide(strays)
    let deadline = ContinuousClock.now + .seconds(30)
    while ContinuousClock.now < deadline {
      if !context.tripwire.isDeciding {
        return try await !context.mirrors.uncheckedProgress().values.contains { $0.fault != nil }
      }
      try await Task.sleep(for: .milliseconds(50))
    }
    return false
  }

  /// A trigger's condition has cleared, and with it a veto: it counts again.
  private func clear(_ index: Int, _ watches: inout [Int: Watch]) throws {
    watches[index] = nil
    guard context.ledger.vetoes(of: stage).contains(index) else { return }
    try context.ledger.record(
      .veto, stage: stage, Veto(trigger: index, attempt: context.machine.attempt, order: nil))
  }

  private func waiting(since start: ContinuousClock.Instant, _ next: Watch?) -> String {
    if let next, let due = next.due {
      let left = max(0, Int(((due - .now) / .seconds(1)).rounded(.up)))
      return "nobody: it will roll back in \(left) s because \(next.reason); `ferry veto` stops it"
    }
    let left = context.stage.soak - (ContinuousClock.now - start)
    return left > .zero
      ? "soaking for another \(Int((left / .seconds(1)).rounded(.up))) s; then `ferry finalize` or `ferry rollback`"
      : "a person: `ferry finalize` or `ferry rollback`"
  }

  private func look(
    at trigger: StagePlan.RollbackTrigger, _ index: Int, _ watches: inout [Int: Watch]
  ) async throws {
    var worst: (group: String, lag: Int64) = ("", -1)
    for group in context.groups {
      do {
        let lag = try await steps.groupLag(group, .target)
        if lag > worst.lag { worst = (group, lag) }
      } catch let error as KafkaError {
        // A cluster that cannot be asked is no reason to go back, and no sign that all is well.
        context.logger.warning("\(error.summary)")
        return
      }
    }
    let isVetoed = context.ledger.vetoes(of: stage).contains(index)
    guard worst.lag > trigger.groupLagAbove else {
      return try clear(index, &watches)
    }
    var watch = watches[index] ?? Watch(aboveSince: .now)
    if isVetoed {
      watch.due = nil
    } else if watch.due == nil, ContinuousClock.now - watch.aboveSince >= trigger.sustained {
      watch.due = .now + trigger.grace
      watch.reason = "group \(worst.group) is \(worst.lag) records behind for \(trigger.sustained)"
    }
    watches[index] = watch
  }
}
