/// The states of a stage as a runbook page, rendered from the machine itself.
package enum StatesPage {
  /// `Runbooks/states.md`.
  package static var markdown: String {
    var text = """
      # The states of a stage

      `ferry status` names the state. This page is rendered from the machine that carries the stage; a
      test compares the two.

      | state | next step, by itself | leads to | a failure | `ferry rollback` |
      | --- | --- | --- | --- | --- |

      """
    for phase in Phase.allCases {
      let step = phase.nextStep
      text += "| `\(phase.rawValue)` | \(step.map { "`\($0.rawValue)`" } ?? "-") "
      text += "| \(step.map { "`\($0.reaches.rawValue)`" } ?? "-") "
      text += "| \(step == nil ? "-" : failure(in: phase)) | \(rollback(from: phase)) |\n"
    }
    for phase in Phase.allCases {
      let entry = entry(of: phase)
      text += "\n## \(phase.rawValue)\n\n\(entry.meaning)\n"
      if let step = phase.nextStep { text += "\nFerry will \(step.summary).\n" }
      text += "\n- Source: \(entry.source)\n- Target: \(entry.target)\n"
      text += "- Way back: \(cost(of: phase))\n- If it hangs: \(entry.hang)\n"
    }
    return text
  }

  private static func failure(in phase: Phase) -> String {
    switch phase.wayBack {
    case .withdraw: "goes back by itself: `withdrawing`"
    case .retreat: "goes back by itself: `retreating`"
    case .nothingToUndo, .underway, .none: "stops here; `ferry run` tries again"
    }
  }

  private static func rollback(from phase: Phase) -> String {
    switch phase.wayBack {
    case .nothingToUndo: "`rolledBack` at once"
    case .withdraw: "`withdrawing`"
    case .retreat: "`retreating`"
    case .underway: "goes on with it"
    case .none: "refused"
    }
  }

  private static func cost(of phase: Phase) -> String {
    switch phase.wayBack {
    case .nothingToUndo: "stop the mirror, at once; no client was touched."
    case .withdraw:
      "stop the mirror, resume the groups on the source if they were paused, lift the fence: as long "
        + "as the hooks take. No client has moved; nothing is lost or read twice."
    case .retreat:
      "fence the target, carry back what was born there, compare it, move groups and producers: they "
        + "stand still meanwhile. Nothing is lost or read twice. Refused while the reverse mirror is "
        + "stopped (`BLOCKED`): see `mirror-stopped.md`."
    case .underway: "is being taken; it goes on after any stop."
    case .none: phase == .rolledBack ? "was taken." : "none is left to take."
    }
  }
}
