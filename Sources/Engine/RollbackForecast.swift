package import Cutover
internal import Foundation
internal import KafkaModel
internal import Plan

/// What going back would take now, and from what that is computed.
package struct RollbackForecast: Codable, Hashable, Sendable {
  /// One step of the way back.
  package struct Part: Codable, Hashable, Sendable {
    package let step: Step
    package let seconds: Double
    /// What the number rests on, for people.
    package let basis: String
  }

  /// What going back means to one group, in records.
  package struct Group: Codable, Hashable, Sendable {
    package let group: String
    package let reRead: Int64
    package let skipped: Int64
  }

  package let parts: [Part]
  package let seconds: Double
  /// Born on the target and not carried back yet; `nil` where the reverse mirror does not run.
  package let recordsToDrain: Int64?
  package let bytesToDrain: Int64?
  /// From live commits and the offset map; empty until they were looked at.
  package let groups: [Group]
  /// Why it is not possible now; empty where it is.
  package let blockers: [String]
  /// Seconds since 1970 until which it is possible without loss; `nil` where nothing ends it.
  package let until: Double?
  package let untilReason: String
}

/// How a stage went back, against what was forecast when it began.
package struct RollbackOutcome: Codable, Hashable, Sendable {
  package let predictedSeconds: Double?
  package let actualSeconds: Double
  /// What it was to mean to each group, and what it meant.
  package let predictedGroups: [RollbackForecast.Group]
  package let groups: [RollbackForecast.Group]
}

extension RollbackOutcome {
  /// For people, a line a group.
  package var groupSummaries: [String] {
    let predicted = Dictionary(predictedGroups.map { ($0.group, $0) }) { first, _ in first }
    return groups.map { group in
      "\(group.group) re-read \(group.reRead), skipped \(group.skipped)"
        + (predicted[group.group].map { "; predicted were \($0.reRead) and \($0.skipped)" } ?? "")
    }
  }
}

/// Computes forecasts from the steps' durations in the journal and the mirror's live numbers.
struct RollbackForecaster {
  let context: StageContext

  func forecast() -> RollbackForecast? {
    let machine = context.machine
    let start: Phase
    switch machine.wayBack {
    case .nothingToUndo, .none: return nil
    case .withdraw: start = .withdrawing
    case .recall: start = .recalling
    case .retreat: start = .retreating
    case .underway: start = machine.phase
    }
    let live = context.board.live(context.stage.name)
    let steps = machine.strategy.path(from: start).map(\.step)
    let isDraining = steps.contains(.drainReverse)
    let parts = steps.map { part($0, live) }
    let bytes = live.toDrain.flatMap { records in
      live.records > 0 ? records * live.bytes / live.records : nil
    }
    // On the way back it holds what was computed before.
    let costs = live.costs.flatMap {
      machine.wayBack == .underway || $0.wayBack == machine.wayBack ? $0 : nil
    }
    let limit = isDraining ? limit() : nil
    return RollbackForecast(
      parts: parts, seconds: parts.reduce(0) { $0 + $1.seconds },
      recordsToDrain: isDraining ? live.toDrain : nil, bytesToDrain: isDraining ? bytes : nil,
      groups: costs?.groups ?? [],
      blockers: (isDraining ? live.faults + context.tripwire.strays.map(\.summary) : [])
        + (costs?.blockers ?? []),
      until: limit?.until,
      untilReason: limit?.reason ?? "nothing that it needs is dropped with time")
  }

  private func part(_ step: Step, _ live: StatusBoard.Live) -> RollbackForecast.Part {
    switch step {
    case .fenceTarget:
      return measured(step, as: [.fence])
        ?? part(step, context.stage.stability / .seconds(1), "the stability window")
    case .drainReverse:
      let rate = max(1000, live.peakRate ?? 0)
      let records = live.toDrain ?? 0
      return part(
        step, Double(records) / rate + 0.5, "\(records) records at \(Int(rate)) a second")
    case .sealReverse: return measured(step, as: [.seal]) ?? assumed(step)
    case .translateBack: return measured(step, as: [.translate, .carryGroups]) ?? assumed(step)
    case .returnClients:
      return measured(step, as: [.switchClients, .moveGroups]) ?? assumed(step)
    case .recallGroups: return measured(step, as: [.carryGroups]) ?? assumed(step)
    case .release, .withdraw: return hook(step, "fence")
    default: return assumed(step)
    }
  }

  private func part(_ step: Step, _ seconds: Double, _ basis: String) -> RollbackForecast.Part {
    RollbackForecast.Part(step: step, seconds: seconds, basis: basis)
  }

  /// As long as those steps there took, as far as they were performed.
  private func measured(_ step: Step, as steps: [Step]) -> RollbackForecast.Part? {
    let known = steps.compactMap { there -> (Step, Double)? in
      context.ledger.evidence(of: context.stage.name, there)?.seconds.map { (there, $0) }
    }
    guard !known.isEmpty else { return nil }
    return part(
      step, known.reduce(0) { $0 + $1.1 },
      "\(known.map(\.0.rawValue).joined(separator: " and ")) took that long")
  }

  private func hook(_ step: Step, _ action: String) -> RollbackForecast.Part {
    guard let seconds = context.ledger.hookSeconds(context.stage.name, action) else {
      return assumed(step)
    }
    return part(step, seconds, "the \(action) hook took that long")
  }

  private func assumed(_ step: Step) -> RollbackForecast.Part {
    part(step, 1, "nothing was measured: a guess")
  }

  /// The source drops what groups have yet to read once retention reaches back to the switch.
  private func limit() -> (until: Double, reason: String)? {
    guard !context.stage.extendRetention,
      let switched = context.ledger.switchedAt(context.stage.name),
      let topic = context.topics.filter({ $0.sourceRetention?.milliseconds != nil }).min(by: {
        $0.sourceRetention!.milliseconds! < $1.sourceRetention!.milliseconds!
      }), let kept = topic.sourceRetention?.milliseconds
    else { return nil }
    return (
      switched.timeIntervalSince1970 + Double(kept) / 1000,
      "the source keeps \(topic.name) for \(Duration.milliseconds(kept)), and clients left it then"
    )
  }
}
