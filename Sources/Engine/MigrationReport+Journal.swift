internal import Cutover
internal import Foundation
internal import Journal
internal import KafkaModel
package import Plan
package import Reports

extension MigrationReport {
  /// Reads a migration's evidence from its journal, whether it has ended or not. Asks no cluster.
  ///
  /// Throws: `JournalError`; a decoding error where the journal is not this version's.
  package static func read(_ plan: MigrationPlan, journalPath: String) throws -> MigrationReport {
    let journal = try MigrationJournal.open(at: journalPath, mode: .readOnly)
    let folded = try Folded(journal, strategies: plan.strategies)
    let events = try journal.events()
    let seal =
      switch try journal.verify() {
      case .intact(let count, let head): "intact, \(count) events, head \(head)"
      case .broken(_, let what): "DAMAGED: \(what)"
      }
    return MigrationReport(
      migration: plan.name, change: plan.change,
      planDigest: try journal.fact("planDigest") ?? plan.digest, journal: seal,
      stages: try plan.stages.map { stage in
        var reader = StageReader(stage, folded)
        for event in events where event.stage == stage.name { try reader.take(event) }
        return reader.finish()
      })
  }
}

/// Collects one stage's evidence from its events, in order.
private struct StageReader {
  private let plan: StagePlan
  private let folded: Folded
  private var machine: CutoverMachine
  private var found: MigrationReport.Stage

  init(_ plan: StagePlan, _ folded: Folded) {
    self.plan = plan
    self.folded = folded
    machine = CutoverMachine(plan.strategy)
    let end = folded.machine(of: plan.name)
    found = MigrationReport.Stage(
      stage: plan.name, state: end.phase.rawValue, strategy: end.strategy.rawValue,
      attempt: end.attempt)
  }

  mutating func take(_ event: RecordedEvent) throws {
    switch EntryKind(rawValue: event.kind) {
    case .stage: try take(try JSON.value(StageEntry.self, event.payload), at: event.time)
    case .approval:
      let approval = try JSON.value(Approval.self, event.payload)
      note("approved by \(approval.by) (\(approval.order.summary))", event)
    case .waiver:
      let waiver = try JSON.value(Waiver.self, event.payload)
      found.forced.append("\(waiver.summary), attempt \(waiver.attempt)")
    case .hold:
      let hold = try JSON.value(Hold.self, event.payload)
      note("\(hold.isHeld ? "paused" : "let go on") by \(hold.order.summary)", event)
    case .veto:
      let veto = try JSON.value(Veto.self, event.payload)
      if let order = veto.order { note("automatic rollback stopped by \(order.summary)", event) }
    case .acknowledgement:
      let acknowledgement = try JSON.value(Acknowledgement.self, event.payload)
      note("\(acknowledgement.hook) done by \(acknowledgement.order.summary)", event)
    case .stray:
      note("strays: " + (try JSON.value(StrayDecision.self, event.payload)).summary, event)
    case .hook:
      let hook = try JSON.value(HookRecord.self, event.payload)
      found.hooks.append(
        MigrationReport.HookRun(
          id: hook.id, hook: hook.hook, seconds: hook.seconds, output: hook.output))
    default: break
    }
  }

  private mutating func note(_ what: String, _ event: RecordedEvent) {
    found.orders.append("\(event.time.formatted(.iso8601)) \(what)")
  }

  private mutating func take(_ entry: StageEntry, at time: Date) throws {
    let attempt = machine.attempt
    if let order = entry.order {
      let wish =
        switch entry.event {
        case .rollback: "rollback"
        case .finalize: "finalize"
        default: "order"
        }
      found.orders.append("\(time.formatted(.iso8601)) \(wish) by \(order.summary)")
    }
    switch entry.event {
    case .done(let step):
      let evidence = entry.evidence ?? Evidence()
      found.steps.append(
        MigrationReport.StepRun(
          step: step.rawValue, attempt: attempt, ended: time.timeIntervalSince1970,
          seconds: evidence.seconds, failure: nil, notes: evidence.notes,
          parts: (evidence.parts ?? []).map {
            MigrationReport.Part(step: step.rawValue, what: $0.what, seconds: $0.seconds)
          }))
    case .failed(let step, let reason):
      found.steps.append(
        MigrationReport.StepRun(
          step: step.rawValue, attempt: attempt, ended: time.timeIntervalSince1970, seconds: nil,
          failure: reason, notes: [], parts: []))
    default: break
    }
    _ = try machine.apply(entry.event)
  }

  func finish() -> MigrationReport.Stage {
    var stage = found
    stage.window = window
    let end = folded.machine(of: plan.name)
    stage.rollbackReason = end.rollbackReason
    stage.rolledBack = folded.rollbackOutcome(plan.name).map {
      MigrationReport.Rollback(
        predictedSeconds: $0.predictedSeconds, actualSeconds: $0.actualSeconds,
        groups: $0.groupSummaries)
    }
    return stage
  }

  /// Of the last switch: the steps from the last fence before it on, and what lies between them.
  private var window: MigrationReport.Window? {
    let name = (fence: Step.fence.rawValue, end: Step.switchClients.rawValue)
    guard let last = found.steps.lastIndex(where: { $0.step == name.end && $0.failure == nil }),
      let first = found.steps[..<last].lastIndex(where: {
        $0.step == name.fence && $0.failure == nil
      })
    else { return nil }
    var parts: [MigrationReport.Part] = []
    var now: Double?
    for run in found.steps[first...last] where run.failure == nil {
      guard let seconds = run.seconds else { return nil }
      var own = run.parts
      var begin = run.ended - seconds
      if run.step == name.fence {
        guard !own.isEmpty else { return nil }
        begin += own.removeFirst().seconds
      }
      if let now {
        parts.append(
          MigrationReport.Part(
            step: run.step, what: "step before journalled, this one begun", seconds: begin - now))
      }
      if run.step == name.end {
        // The switch hook and what follows are no longer part of it.
        let lifted = own.dropLast(2)
        parts += lifted
        begin += lifted.reduce(0) { $0 + $1.seconds }
        now = begin
        break
      }
      parts += own
      let rest = run.ended - begin - own.reduce(0) { $0 + $1.seconds }
      parts.append(MigrationReport.Part(step: run.step, what: "the rest", seconds: rest))
      now = run.ended
    }
    return MigrationReport.Window(
      seconds: parts.reduce(0) { $0 + $1.seconds },
      stabilitySeconds: plan.stability / .seconds(1), parts: parts)
  }
}
