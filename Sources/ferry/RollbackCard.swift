import Cutover
import Engine
import Foundation

/// What an on-call engineer wants to know before going back.
enum RollbackCard {
  /// What it takes, in one line.
  static func text(_ stage: MigrationStatus.Stage) -> String {
    switch stage.wayBack {
    case .nothingToUndo: return "stop the mirror; clients were not touched"
    case .withdraw:
      return
        "lift the fence and resume the groups on the source; no client has moved, nothing is lost or re-read"
    case .recall:
      return
        "pause the groups on the target, carry their commits back, resume them on the source; producers never moved; no record is lost"
    case .retreat:
      guard stage.faults.isEmpty else {
        return
          "BLOCKED, records born on the target would be lost: \(stage.faults.joined(separator: "; "))"
      }
      guard stage.strays.isEmpty else {
        return
          "BLOCKED, groups that go back would miss them or read others twice: \(stage.strays.map(\.summary).joined(separator: "; "))"
      }
      return
        "fence the target, carry back what was born there, move groups and producers back; no record is lost"
    case .underway: return "is being taken"
    case .none:
      guard stage.state == .rolledBack else { return "is closed: past the point of no return" }
      guard let outcome = stage.rolledBack else { return "was taken" }
      return "was taken in \(seconds(outcome.actualSeconds))"
        + (outcome.predictedSeconds.map { ", predicted were \(seconds($0))" } ?? "")
    }
  }

  /// The figures, a line each.
  static func lines(_ stage: MigrationStatus.Stage) -> [String] {
    if let outcome = stage.rolledBack, !outcome.groups.isEmpty {
      return outcome.groupSummaries
    }
    guard let forecast = stage.forecast else { return [] }
    var lines = ["takes:    about \(seconds(forecast.seconds))"]
    lines += forecast.parts.map {
      "          \($0.step.rawValue) \(seconds($0.seconds)): \($0.basis)"
    }
    if let records = forecast.recordsToDrain {
      let bytes = forecast.bytesToDrain.map { ", about \($0) bytes" } ?? ""
      lines.append("to drain: \(records) records\(bytes)")
    }
    if !forecast.groups.isEmpty {
      let groups = forecast.groups.map {
        "\($0.group) re-reads \($0.reRead), skips \($0.skipped)"
      }
      lines.append("groups:   \(groups.joined(separator: "; "))")
      if stage.strayDecisions.contains(where: { $0.forwarded != nil }) {
        lines.append(
          "          who goes back to before a forwarded stray reads it and its copy, which counts as re-read"
        )
      }
    }
    for blocker in forecast.blockers { lines.append("blocked:  \(blocker)") }
    if let until = forecast.until {
      let time = Date(timeIntervalSince1970: until).formatted(.iso8601)
      lines.append("until:    \(time), because \(forecast.untilReason)")
    } else {
      lines.append("until:    no limit: \(forecast.untilReason)")
    }
    return lines
  }

  private static func seconds(_ value: Double) -> String {
    "\((value * 10).rounded() / 10) s"
  }
}
