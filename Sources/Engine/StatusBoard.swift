package import Cutover
internal import Foundation
package import KafkaModel
internal import Plan
internal import Synchronization

/// What one screen shows of a migration.
package struct MigrationStatus: Codable, Sendable {
  package struct Stage: Codable, Sendable {
    package var stage: String
    package var state: Phase
    package var step: Step?
    /// Whom or what the stage waits for, if it does.
    package var waitingFor: String?
    package var records: Int64 = 0
    package var bytes: Int64 = 0
    /// Records not mirrored yet, at most: transaction markers count too.
    package var lag: Int64?
    package var recordsPerSecond: Double?
    package var failure: String?
    package var rollbackReason: String?
    package var faults: [String] = []
    /// Why nothing is mirrored at the moment, though it should be: Ferry goes on trying.
    package var trouble: String?
    package var attempt = 1
    package var approvals: [String] = []
    /// What going back would take now.
    package var wayBack: WayBack
    package var strategy: Strategy
    /// The worst first; empty while no mirror runs.
    package var topics: [TopicStatus] = []
    /// Records that the source dropped before they were mirrored, given up as planned.
    package var gaps: [AcceptedGap] = []
    /// As an engine last saw it; `nil` where there is nothing to undo.
    package var forecast: RollbackForecast?
    /// What others wrote to the source since the switch.
    package var strays: [StrayWrite] = []
    /// What was decided about such records in this attempt.
    package var strayDecisions: [StrayDecision] = []
    /// How the last rollback of this attempt went.
    package var rolledBack: RollbackOutcome?
    /// For how long clients stood still, from the fence to the call of the switch hook; `nil` before
    /// that. `ferry report` says what it was spent on.
    package var windowSeconds: Double?
    /// How the gates were found last, while the stage waits for them.
    package var gates: [GateVerdict] = []
    /// Gates that people opened by force.
    package var waivers: [Waiver] = []
    /// Who holds the stage before its fence.
    package var paused: Order?
    /// The automatic rollback that comes unless somebody stops it.
    package var countdown: Countdown?
  }

  /// A trigger of the plan that has fired.
  package struct Countdown: Codable, Sendable, Hashable {
    package let reason: String
    package let secondsLeft: Int
  }

  package var migration: String
  package var change: String?
  package var planDigest: String
  package var stages: [Stage]
  /// What mirrors may read, in bytes a second; budgets that are not named have no limit.
  package var rates: [Throttling.Budget: Int64]
  /// The engine that wrote this, while it runs.
  package var engine: String?
  /// Seconds since 1970 at which this was true.
  package var time: Double
}

/// The running engine's view of its stages, from which status is published.
final class StatusBoard: Sendable {
  struct Live {
    var waiting: String?
    /// What people were asked to do, by the hook's id.
    var tasks: [String: String] = [:]
    var lag: Int64?
    var records: Int64 = 0
    var bytes: Int64 = 0
    var rate: Double?
    /// The highest rate seen: what the mirror can do.
    var peakRate: Double?
    /// Records of the target that the reverse mirror has yet to carry back.
    var toDrain: Int64?
    var faults: [String] = []
    var trouble: String?
    var topics: [TopicStatus] = []
    var sampled: (records: Int64, at: ContinuousClock.Instant)?

    var costs: RollbackCosts?
    var costsAt: ContinuousClock.Instant?
    var gates: [GateVerdict] = []
    var busyRate = BusyRate()
    var countdown: Countdown?

    var waitingFor: String? {
      guard !tasks.isEmpty else { return waiting }
      let asked = tasks.sorted { $0.key < $1.key }.map { "\($0.value), then `ferry ack \($0.key)`" }
      return "a person: " + asked.joined(separator: "; and ")
    }
  }

  private let live = Mutex<[String: Live]>([:])

  /// An automatic rollback that waits out its grace.
  struct Countdown {
    let trigger: Int
    let reason: String
    let ends: ContinuousClock.Instant
    /// Somebody has decided: the rollback goes on its way, or was stopped.
    var isDecided = false
  }

  func setGates(_ stage: String, _ gates: [GateVerdict]) {
    live.withLock { $0[stage, default: Live()].gates = gates }
  }

  func setCountdown(_ stage: String, _ countdown: Countdown?) {
    live.withLock { $0[stage, default: Live()].countdown = countdown }
  }

  /// Decides the countdown, once: either the rollback takes it or a veto does.
  ///
  /// Returns: `nil` where there is none, or it is decided already.
  func decideCountdown(_ stage: String) -> Countdown? {
    live.withLock { live in
      guard let countdown = live[stage]?.countdown, !countdown.isDecided else { return nil }
      live[stage]?.countdown?.isDecided = true
      return countdown
    }
  }

  func setWaiting(_ stage: String, _ text: String?) {
    live.withLock { $0[stage, default: Live()].waiting = text }
  }

  /// A manual hook waits for a person, or no longer does (`nil`).
  func setTask(_ stage: String, hook: String, _ text: String?) {
    live.withLock { $0[stage, default: Live()].tasks[hook] = text }
  }

  func setMirror(
    _ stage: String, records: Int64, bytes: Int64, faults: [String], trouble: String?
  ) {
    live.withLock { live in
      var entry = live[stage] ?? Live()
      let now = ContinuousClock.now
      if let sampled = entry.sampled, records >= sampled.records {
        let seconds = (now - sampled.at) / .seconds(1)
        if seconds >= 1 {
          entry.rate = Double(records - sampled.records) / seconds
          entry.peakRate = max(entry.peakRate ?? 0, entry.rate ?? 0)
          entry.sampled = (records, now)
        }
      } else {
        entry.sampled = (records, now)
      }
      entry.records = records
      entry.bytes = bytes
      entry.faults = faults
      entry.trouble = trouble
      live[stage] = entry
    }
  }

  func setTopics(_ stage: String, _ topics: [TopicStatus]) {
    live.withLock { $0[stage, default: Live()].topics = topics }
  }

  func setLag(_ stage: String, _ lag: Int64?) {
    live.withLock { live in
      var entry = live[stage] ?? Live()
      entry.lag = lag
      entry.busyRate.sample(records: entry.records, lag: lag, at: .now)
      live[stage] = entry
    }
  }

  func setToDrain(_ stage: String, _ records: Int64?) {
    live.withLock { $0[stage, default: Live()].toDrain = records }
  }

  func setCosts(_ stage: String, _ costs: RollbackCosts?) {
    live.withLock { live in
      live[stage, default: Live()].costs = costs
      live[stage]?.costsAt = .now
    }
  }

  func live(_ stage: String) -> Live { live.withLock { $0[stage] ?? Live() } }
}
