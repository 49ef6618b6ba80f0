internal import Cutover
package import Journal
package import Plan

/// What an operator's command comes to, whoever carries it out: a running engine, or the command itself
/// where none runs.
struct CommandRules: Sendable {
  let plan: MigrationPlan
  let ledger: Ledger

  enum Decision {
    /// It cannot be met now, for this reason.
    case refuse(String)
    /// It is noted in the journal, and holds from then on.
    case note(EntryKind, any Encodable & Sendable, answer: String)
    /// It changes the stage's course.
    case event(StageEvent)
  }

  func decide(_ command: OperatorCommand) -> Decision {
    guard let name = command.stage, let stage = plan.stage(named: name) else {
      return .refuse("the plan has no stage \(command.stage ?? "")")
    }
    let machine = ledger.machine(of: name)
    let order = Order(command)
    let arguments = (try? JSON.value([String: String].self, command.arguments)) ?? [:]
    switch command.kind {
    case "approve":
      let by = arguments["by"] ?? command.user
      let person = Approval.person(by)
      guard !person.isEmpty else { return .refuse("an approval needs a name") }
      guard machine.phase.isGated else { return .refuse(pastGates(machine)) }
      let given = ledger.approvals(of: name)
      let approval = Approval(by: by, attempt: machine.attempt, order: order)
      return .note(
        .approval, approval,
        answer: given.contains(person)
          ? "\(person) had approved already; \(given.count) in all"
          : "approved by \(person); \(given.count + 1) in all")
    case "force":
      let gate = arguments["gate"] ?? ""
      let known = stage.namedGates.map(\.name)
      guard known.contains(gate) else {
        return .refuse(
          "stage \(name) has no gate \(gate)"
            + (known.isEmpty ? "" : ", only \(known.joined(separator: ", "))"))
      }
      guard command.reason?.contains(where: { !$0.isWhitespace }) == true else {
        return .refuse("a gate is forced for a reason only: --reason")
      }
      guard machine.phase.isGated else { return .refuse(pastGates(machine)) }
      return .note(
        .waiver, Waiver(gate: gate, attempt: machine.attempt, order: order),
        answer: "gate \(gate) is forced open")
    case "pause":
      guard machine.phase.isGated else { return .refuse(noPause(machine.phase)) }
      return .note(
        .hold, Hold(isHeld: true, order: order),
        answer: "paused before the fence; the mirror goes on")
    case "resume":
      guard ledger.hold(of: name) != nil else { return .refuse("stage \(name) is not paused") }
      return .note(.hold, Hold(isHeld: false, order: order), answer: "goes on")
    case "rollback" where isForwarding(name), "finalize" where isForwarding(name):
      return .refuse(
        "strays are being copied to the target: `ferry run` sees what arrived, or `ferry strays --forward` does"
      )
    case "rollback":
      return event(.rollback(reason: command.reason ?? "asked for by \(order.summary)"), machine)
    case "finalize": return event(.finalize, machine)
    case "strays": return .refuse("give `ferry strays` again")
    case "veto", "ack":
      return .refuse("no engine runs, so nothing waits for a person or counts down")
    default: return .refuse("this ferry does not know the command \(command.kind)")
    }
  }

  /// Carries a decision out, and answers the command.
  func settle(_ command: OperatorCommand, _ decision: Decision, accepted: String) throws {
    switch decision {
    case .refuse(let reason): try ledger.refuse(command, reason)
    case .note(let kind, let payload, let answer):
      try ledger.record(
        kind, stage: command.stage, payload,
        answer: (command.id, CommandOutcome(accepted: true, message: answer)))
    case .event(let event):
      try ledger.record(
        event, stage: command.stage ?? "", order: Order(command),
        answer: (command.id, CommandOutcome(accepted: true, message: accepted)))
    }
  }

  /// The way back has to know which strays have a copy on the target.
  private func isForwarding(_ stage: String) -> Bool { ledger.forwarding(of: stage) != nil }

  private func event(_ event: StageEvent, _ machine: CutoverMachine) -> Decision {
    var copy = machine
    do {
      _ = try copy.apply(event)
      return .event(event)
    } catch {
      return .refuse(error.summary)
    }
  }

  private func pastGates(_ machine: CutoverMachine) -> String {
    "the stage waits at no gate, and none is ahead of it: it is \(machine.phase.rawValue)"
  }

  private func noPause(_ phase: Phase) -> String {
    switch phase {
    case .soaking:
      "a soaking stage takes no step by itself; `ferry veto` stops an automatic rollback"
    case .finalizing, .finalized, .rolledBack:
      "nothing goes on that could pause: it is \(phase.rawValue)"
    default:
      "the cutover is under way (\(phase.rawValue)) and clients may stand still: `ferry rollback` goes back"
    }
  }
}

extension Phase {
  /// The gates are still ahead.
  var isGated: Bool {
    switch self {
    case .planned, .provisioned, .mirroring, .caughtUp, .validated, .groupsMoved: true
    default: false
    }
  }
}

/// Carries out an operator's command where no engine runs.
package enum OfflineDesk {
  /// Takes the lease for a moment, notes what the command comes to, and gives the lease back.
  ///
  /// Returns: `nil` where an engine, or another operator, has the lease.
  /// Throws: `JournalError`.
  package static func carryOut(
    _ id: Int64, _ plan: MigrationPlan, _ journal: MigrationJournal
  ) throws -> CommandOutcome? {
    let lease: Lease
    do {
      lease = try journal.acquireLease(holder: .current, duration: LeaseKeeper.duration)
    } catch JournalError.held {
      return nil
    }
    defer { journal.release(lease) }
    let ledger = try Ledger(journal, lease: lease, strategies: plan.strategies)
    guard let command = try journal.command(id) else { throw JournalError.unknownCommand(id) }
    if let outcome = command.outcome { return outcome }
    let rules = CommandRules(plan: plan, ledger: ledger)
    try rules.settle(
      command, rules.decide(command), accepted: "accepted; `ferry run` carries it out")
    return try journal.command(id)?.outcome
  }
}
