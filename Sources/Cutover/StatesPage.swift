internal import KafkaModel

/// The states of a stage as a runbook page, rendered from the machine itself.
package enum StatesPage {
  /// `Runbooks/states.md`.
  package static var markdown: String {
    var text = """
      # The states of a stage

      `ferry status` names the state. This page is rendered from the machine that carries the stage; a
      test compares the two. Where a stage's `strategy` makes a difference, both are told.

      | state | next step, by itself | leads to | a failure | `ferry rollback` |
      | --- | --- | --- | --- | --- |

      """
    for phase in Phase.allCases {
      let cells = [
        each(phase) { phase.nextStep($0).map { "`\($0.rawValue)`" } ?? "-" },
        each(phase) { phase.nextStep($0).map { "`\($0.reaches.rawValue)`" } ?? "-" },
        each(phase) { phase.nextStep($0) == nil ? "-" : failure(phase.wayBack($0)) },
        each(phase) { rollback(phase.wayBack($0)) },
      ]
      text += "| `\(phase.rawValue)` | \(cells.joined(separator: " | ")) |\n"
    }
    for phase in Phase.allCases {
      let entry = entry(of: phase)
      text += "\n## \(phase.rawValue)\n\n\(entry.meaning)\n"
      let next = each(phase) { phase.nextStep($0)?.summary ?? "" }
      if !next.isEmpty { text += "\nFerry will \(next).\n" }
      text += "\n- Source: \(entry.source)\n- Target: \(entry.target)\n"
      text += "- Way back: \(each(phase) { cost(of: phase, $0) })\n- If it hangs: \(entry.hang)\n"
    }
    return text
  }

  /// What `cell` says of each strategy that knows the phase; once, where that is the same.
  private static func each(_ phase: Phase, _ cell: (Strategy) -> String) -> String {
    let told = Strategy.allCases.filter { $0.phases.contains(phase) }.map { ($0, cell($0)) }
    guard Set(told.map(\.1)).count > 1 else { return told.first?.1 ?? "" }
    return told.map { "`\($0.rawValue)`: \($1)" }.joined(separator: "; ")
  }

  private static func failure(_ wayBack: WayBack) -> String {
    switch wayBack {
    case .withdraw: "goes back by itself: `withdrawing`"
    case .recall: "goes back by itself: `recalling`"
    case .retreat: "goes back by itself: `retreating`"
    case .nothingToUndo, .underway, .none: "stops here; `ferry run` tries again"
    }
  }

  private static func rollback(_ wayBack: WayBack) -> String {
    switch wayBack {
    case .nothingToUndo: "`rolledBack` at once"
    case .withdraw: "`withdrawing`"
    case .recall: "`recalling`"
    case .retreat: "`retreating`"
    case .underway: "goes on with it"
    case .none: "refused"
    }
  }

  private static func cost(of phase: Phase, _ strategy: Strategy) -> String {
    switch phase.wayBack(strategy) {
    case .nothingToUndo: "stop the mirror, at once; no client was touched."
    case .withdraw:
      "stop the mirror, resume the groups on the source if they were paused, lift the fence: as long "
        + "as the hooks take. No client has moved; nothing is lost or read twice."
    case .recall:
      "lift the source's fence if it is up, pause the groups on the target, carry their commits back "
        + "and resume them on the source: as long as the hooks take. Producers never moved; nothing is "
        + "lost or read twice."
    case .retreat:
      "fence the target, carry back what was born there, compare it, move groups and producers: they "
        + "stand still meanwhile. Nothing is lost or read twice. Refused while the reverse mirror is "
        + "stopped (`BLOCKED`): see `mirror-stopped.md`."
    case .underway: "is being taken; it goes on after any stop."
    case .none: phase == .rolledBack ? "was taken." : "none is left to take."
    }
  }
}
