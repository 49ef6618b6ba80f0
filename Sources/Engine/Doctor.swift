package import Cutover
internal import Foundation
internal import Journal
internal import Kafka
internal import KafkaModel
package import Logging
package import Plan

/// What `ferry doctor` finds: where journal and clusters differ, and which command mends it.
package struct Diagnosis: Codable, Sendable {
  package struct Finding: Codable, Sendable, Hashable {
    /// False where it is only worth knowing.
    package let isTrouble: Bool
    package let what: String
    /// What to type, or to do.
    package let mend: String?
  }

  package struct Stage: Codable, Sendable, Hashable {
    package let stage: String
    package let state: Phase
    package let attempt: Int
  }

  package let migration: String
  package var engine: String?
  package var stages: [Stage]
  package var findings: [Finding]

  package var isWell: Bool { !findings.contains(where: \.isTrouble) }
}

/// Looks at a migration's journal and at both clusters. Writes to none of them.
package struct Doctor: Sendable {
  private let plan: MigrationPlan
  private let path: String
  private let planFile: String
  private let logger: Logger

  package init(_ plan: MigrationPlan, journalPath: String, logger: Logger) {
    self.plan = plan
    path = journalPath
    planFile = plan.file
    self.logger = logger
  }

  /// Throws: `JournalError` - there is no journal that could be read; `PlanError` - a secret is missing.
  package func examine() async throws -> Diagnosis {
    let journal = try MigrationJournal.open(at: path, mode: .readOnly)
    let folded = try Folded(journal, strategies: plan.strategies)
    var diagnosis = Diagnosis(migration: plan.name, stages: [], findings: [])
    diagnosis.stages = plan.stages.map { stage in
      let machine = folded.machine(of: stage.name)
      return Diagnosis.Stage(stage: stage.name, state: machine.phase, attempt: machine.attempt)
    }
    try examine(journal, folded, &diagnosis)
    let clusters = try Clusters(plan, logger: logger)
    for role in ClusterRole.allCases {
      do {
        _ = try await clusters.admin(role).brokerCount()
      } catch {
        diagnosis.trouble(
          "the \(role.rawValue) cluster does not answer: \(error.summary)", error.hint)
        return diagnosis
      }
    }
    let isRunning = diagnosis.engine != nil
    for stage in plan.stages {
      let machine = folded.machine(of: stage.name)
      let checkup = StageCheckup(
        stage: stage, machine: machine, journal: journal, clusters: clusters,
        isEngineRunning: isRunning, plan: plan)
      do {
        try await checkup.run(&diagnosis)
      } catch let error as KafkaError {
        diagnosis.trouble(
          "stage \(stage.name) could not be looked at: \(error.summary)", error.hint)
      }
    }
    return diagnosis
  }

  private func examine(
    _ journal: MigrationJournal, _ folded: Folded, _ diagnosis: inout Diagnosis
  ) throws {
    if case .broken(_, let what) = try journal.verify() {
      diagnosis.trouble("the journal is damaged: \(what)", "see Runbooks/journal.md")
    }
    if let known = try journal.fact("planDigest"), known != plan.digest {
      diagnosis.trouble(
        "the plan is not the one that the run began with (\(known))", "restore the reviewed plan")
    }
    let working = plan.stages.filter { stage in
      let phase = folded.machine(of: stage.name).phase
      return phase != .finalized && phase != .rolledBack
    }
    let last = try journal.lastLease()
    if last.isLive {
      diagnosis.engine = last.holder.description
      if ProcessState.isStopped(last.holder) {
        diagnosis.trouble(
          "the engine \(last.holder) is stopped (SIGSTOP): it ends when its lease does",
          "kill -CONT \(last.holder.processID), or wait and `ferry run \(planFile)`")
      }
    } else if !working.isEmpty {
      diagnosis.trouble(
        last.isActive
          ? "the engine \(last.holder) is gone and has not given its lease back"
          : "no engine runs, and \(working.map(\.name).joined(separator: ", ")) is not at an end",
        "ferry run \(planFile)")
    }
    if !last.isLive {
      for effect in try journal.pendingEffects() {
        diagnosis.note(
          "step \(effect.kind) of \(effect.stage ?? "-") was begun and its end is not journalled",
          "ferry run \(planFile)")
      }
      for command in try journal.openCommands() {
        diagnosis.note(
          "command \(command.kind) of \(command.user)@\(command.host) was not answered",
          "give it again")
      }
    }
    for stage in plan.stages {
      let machine = folded.machine(of: stage.name)
      if let failure = machine.failure {
        diagnosis.trouble(
          "stage \(stage.name) stopped at \(failure.step.rawValue): \(failure.reason)",
          "mend that, then ferry run \(planFile)")
      }
      if machine.phase == .rolledBack {
        diagnosis.note(
          "stage \(stage.name) was rolled back: \(machine.rollbackReason ?? "")",
          "ferry run \(planFile) --again")
      }
      if let hold = folded.holds[stage.name] {
        diagnosis.note(
          "stage \(stage.name) is paused by \(hold.summary)",
          "ferry resume \(planFile) --stage \(stage.name)")
      }
      if let open = folded.forwardings[stage.name] {
        let places = open.parts.map(\.stray.name).joined(separator: ", ")
        diagnosis.trouble(
          "stage \(stage.name) was to copy strays to the target (\(places)), and what became of that is not journalled",
          "`ferry run \(planFile)` copies what is missing; `ferry strays \(planFile) --stage \(stage.name) --leave --reason ...` leaves it on the source"
        )
      }
      for waiver in folded.waivers(of: stage.name) {
        diagnosis.note("stage \(stage.name): \(waiver.summary)", nil)
      }
    }
    if let latest = try journal.latestStatus(),
      let status = try? JSON.value(MigrationStatus.self, latest.json)
    {
      for stage in status.stages {
        for fault in stage.faults { diagnosis.trouble(fault, "see Runbooks/mirror-stopped.md") }
        for stray in stage.strays {
          diagnosis.trouble(
            stray.summary,
            "stop the writer, then `ferry strays \(planFile) --stage \(stage.stage) --leave --reason ...`, or `--forward`"
          )
        }
      }
    }
  }
}

extension Diagnosis {
  mutating func trouble(_ what: String, _ mend: String?) {
    findings.append(Finding(isTrouble: true, what: what, mend: mend))
  }

  mutating func note(_ what: String, _ mend: String?) {
    findings.append(Finding(isTrouble: false, what: what, mend: mend))
  }
}

/// What the kernel says of a process of this host.
private enum ProcessState {
  static func isStopped(_ holder: LeaseHolder) -> Bool {
    guard holder.host == LeaseHolder.current.host,
      let text = try? String(
        contentsOf: URL(fileURLWithPath: "/proc/\(holder.processID)/stat"), encoding: .utf8)
    else { return false }
    // The command's name stands in brackets and may hold anything; the state follows it.
    return text.split(separator: ")").last?.trimmingCharacters(in: .whitespaces).first == "T"
  }
}
