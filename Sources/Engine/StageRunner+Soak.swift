internal import Cutover
internal import Kafka
internal import KafkaModel
internal import Logging
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
    var watches: [Int: Watch] = [:]
    defer {
      context.board.setWaiting(stage, nil)
      context.board.setCountdown(stage, nil)
    }
    while true {
      for (index, trigger) in context.stage.rollbackOn.enumerated() {
        try await look(at: trigger, index, &watches)
      }
      let next = watches.filter { $0.value.due != nil }.min { $0.value.due! < $1.value.due! }
      if let next, let due = next.value.due {
        if context.board.live(stage).countdown?.trigger != next.key {
          context.board.setCountdown(
            stage,
            StatusBoard.Countdown(trigger: next.key, reason: next.value.reason, ends: due))
        }
        // Either this takes the countdown or a veto does, never both.
        if ContinuousClock.now >= due, context.board.decideCountdown(stage) != nil {
          return .event(.rollback(reason: EngineError.trigger(next.value.reason).summary))
        }
      } else {
        context.board.setCountdown(stage, nil)
      }
      context.board.setWaiting(stage, waiting(since: start, next?.value))
      try await Task.sleep(for: .milliseconds(200))
    }
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
      watches[index] = nil
      if isVetoed {
        try context.ledger.record(
          .veto, stage: stage,
          Veto(trigger: index, attempt: context.machine.attempt, order: nil))
      }
      return
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
