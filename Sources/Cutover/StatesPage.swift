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
      let (meaning, truth) = description(of: phase)
      text += "\n## \(phase.rawValue)\n\n\(meaning) \(truth)\n"
      if let step = phase.nextStep { text += "\nFerry will \(step.summary).\n" }
      text += "\n- Way back: \(cost(of: phase.wayBack))\n- If it hangs: \(hang(phase))\n"
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

  private static func cost(of wayBack: WayBack) -> String {
    switch wayBack {
    case .nothingToUndo: "nothing to undo; no client was touched."
    case .withdraw:
      "lift the fence and resume the groups on the source. No client has moved; nothing is lost or read twice."
    case .retreat:
      "fence the target, carry back what was born there, move groups and producers. Nothing is lost or read twice."
    case .underway: "is being taken; it goes on after any stop."
    case .none: "none is left to take."
    }
  }

  private static func hang(_ phase: Phase) -> String {
    switch phase {
    case .planned, .provisioned: "the clusters do not answer: see `cluster-unreachable.md`."
    case .mirroring:
      "look at lag and rate in `ferry status`: see `drain-stalls.md` and `mirror-stopped.md`."
    case .caughtUp, .drained, .reverseDrained:
      "comparing takes as long as reading both sides; see `validation-difference.md`."
    case .validated: "it waits for approvals: `ferry approve`."
    case .approved, .retreating:
      "the fence hook, or a writer that goes on: see `fence-does-not-hold.md`."
    case .fenced, .targetFenced: "see `drain-stalls.md`."
    case .sealed, .reverseSealed: "a group does not become empty: see `group-not-empty.md`."
    case .translated: "the canary does not come round: see `mirror-stopped.md`."
    case .reversed, .translatedBack, .returned, .withdrawing: "a hook: see `hook-failed.md`."
    case .switched: "clients do not work on the target: `ferry rollback`."
    case .soaking: "it waits for a person: `ferry finalize` or `ferry rollback`."
    case .finalizing: "end `ferry run` and run it again."
    case .finalized, .rolledBack: "it rests; nothing is going on."
    }
  }

  private static func description(of phase: Phase) -> (meaning: String, truth: String) {
    switch phase {
    case .planned: ("Nothing was done.", "Both clusters are as they were.")
    case .provisioned: ("Target topics are there, as planned.", "They are empty.")
    case .mirroring: ("The mirror copies.", "Clients work on the source.")
    case .caughtUp: ("The lag gates were met.", "The mirror goes on; clients work on the source.")
    case .validated:
      ("All that was mirrored so far is equal on both sides.", "The mirror goes on.")
    case .approved:
      (
        "The cutover may begin.",
        "From here on producers may stand still: an intent counts as the act."
      )
    case .fenced:
      (
        "The source's end offsets stood still.",
        "Those ends are the fence offsets; groups still read."
      )
    case .drained: ("The target holds all up to the fence offsets.", "The mirror has stopped.")
    case .sealed: ("Both sides are equal up to the fence offsets.", "Groups still read the source.")
    case .translated:
      ("Groups are paused; their commits stand on the target.", "Their commits on the source stay.")
    case .reversed:
      (
        "The reverse mirror runs and a canary came round.",
        "From here on clients may be on the target."
      )
    case .switched: ("Producers and groups were moved.", "The reverse mirror copies to the source.")
    case .soaking:
      (
        "The moved clients were seen at work.",
        "The reverse mirror goes on, the fence on the source stays."
      )
    case .finalizing: ("A person gave up the way back.", "The reverse mirror is being stopped.")
    case .finalized: ("Done.", "Clients are on the target; the source stays as it is.")
    case .withdrawing: ("The stage goes back; no client had moved.", "Producers stand still.")
    case .retreating:
      (
        "The stage goes back from the target.",
        "The reverse mirror goes on until the target is drained."
      )
    case .targetFenced: ("The target's end offsets stood still.", "Groups still read the target.")
    case .reverseDrained:
      ("The source holds all that was born on the target.", "The reverse mirror has stopped.")
    case .reverseSealed: ("What was carried back is equal on both sides.", "")
    case .translatedBack: ("Groups are paused; their commits stand on the source.", "")
    case .returned:
      ("Producers and groups were moved to the source.", "The fence is yet to be lifted.")
    case .rolledBack:
      (
        "Clients work on the source, as before.",
        "`ferry run --again` tries the stage anew without copying anything twice."
      )
    }
  }
}
