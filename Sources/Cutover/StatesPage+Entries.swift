extension StatesPage {
  /// What a person has to know of one phase.
  struct Entry {
    let meaning: String
    /// What is true of each cluster.
    let source: String
    let target: String
    /// What to do if nothing moves.
    let hang: String
  }

  static func entry(of phase: Phase) -> Entry {
    switch phase {
    case .planned:
      Entry(
        meaning: "Nothing was done in this attempt.",
        source: "as it was; clients work on it.",
        target: "as it was, with what an earlier attempt mirrored.",
        hang: "a cluster does not answer: see `cluster-unreachable.md`.")
    case .provisioned:
      Entry(
        meaning: "The target topics are there, with partitions and effective configs as planned.",
        source: "as it was; clients work on it.",
        target: "the topics are empty, apart from what an earlier attempt mirrored.",
        hang: "a cluster does not answer: see `cluster-unreachable.md`.")
    case .mirroring:
      Entry(
        meaning: "The mirror copies.",
        source: "read by the mirror; clients work on it.",
        target: "receives what the mirror copies, and nothing else.",
        hang:
          "it waits for the lag gates without limit: look at lag and rate in `ferry status`, and see "
          + "`drain-stalls.md` and `mirror-stopped.md`.")
    case .caughtUp:
      Entry(
        meaning: "The lag gates were met.",
        source: "read by the mirror; clients work on it.",
        target: "almost up to date; the mirror goes on.",
        hang: "comparing takes as long as reading both sides: see `validation-difference.md`.")
    case .validated:
      Entry(
        meaning: "All that was mirrored when the comparison began is equal on both sides.",
        source: "read by the mirror; clients work on it.",
        target: "almost up to date; the mirror goes on.",
        hang:
          "it waits for its gates, for stages before it, or for `ferry resume`, without limit: "
          + "`ferry status` says which.")
    case .approved:
      Entry(
        meaning: "The cutover may begin. From here on an intent counts as the act.",
        source:
          "the fence runs, ran, or is about to: producers may stand still. Groups read. With "
          + "`consumers-first` groups may be paused, and producers write.",
        target: "almost up to date; the mirror goes on.",
        hang:
          "it waits for a hook: `ferry status` says which. Gates are looked at again where an engine "
          + "died in between. A writer that goes on: see `fence-does-not-hold.md`.")
    case .groupsCarried:
      Entry(
        meaning:
          "All groups are paused and empty on the source; their commits stand on the target, at the "
          + "same records. The groups' resume hooks run, ran, or are about to.",
        source: "read by the mirror; producers write to it.",
        target: "almost up to date, with the groups' commits; groups may read.",
        hang: "a resume hook (`hook-failed.md`), or a group that does not keep its `verify`.")
    case .groupsMoved:
      Entry(
        meaning: "Each group's `verify` was seen on the target. Producers have not moved.",
        source: "read by the mirror; producers write to it.",
        target: "almost up to date: the mirror serves the groups.",
        hang:
          "it waits for its gates, without limit; approvals given before the groups moved do not "
          + "count. `ferry approve`, or `ferry rollback`.")
    case .following:
      Entry(
        meaning: "The producers may follow.",
        source: "the fence runs, ran, or is about to: producers may stand still.",
        target: "almost up to date; groups read.",
        hang:
          "the fence hook, or a writer that goes on: see `fence-does-not-hold.md`.")
    case .fenced:
      Entry(
        meaning:
          "Every end offset of the source stood still for `stability`, and no transaction is open. "
          + "Those ends are the fence offsets.",
        source: "producers stand still; groups read, if they are here.",
        target: "the mirror brings the rest.",
        hang: "not for longer than `drainWithin`, or 5 minutes without it: see `drain-stalls.md`.")
    case .drained:
      Entry(
        meaning: "The target holds all up to the fence offsets, and the mirror was stopped.",
        source: "producers stand still; groups read, if they are here.",
        target:
          "complete; nothing writes to it, and nothing reads it but the comparison and moved groups.",
        hang:
          "what was not compared before is compared while producers stand still: if that takes too "
          + "long, `ferry rollback`.")
    case .sealed:
      Entry(
        meaning: "Both sides are equal up to the fence offsets.",
        source: "producers stand still; groups read until their pause hook has run.",
        target: "complete; group commits may be there in part.",
        hang:
          "a pause hook (`hook-failed.md`), or a group with members (`group-not-empty.md`). With "
          + "`consumers-first` as `translated`.")
    case .translated:
      Entry(
        meaning: "All groups are paused and empty; their commits were translated.",
        source: "producers stand still; groups are paused, their commits stay.",
        target: "complete, with the groups' commits, written and read back.",
        hang: "the reverse mirror does not settle, or its canary is lost: see `mirror-stopped.md`.")
    case .reversed:
      Entry(
        meaning:
          "The reverse mirror runs and a canary came round. From here on clients may be on the "
          + "target.",
        source: "fenced; only the reverse mirror writes.",
        target: "complete; the switch hook and the groups' resume hooks run, ran, or are about to.",
        hang: "a hook: see `hook-failed.md`.")
    case .switched:
      Entry(
        meaning: "The switch hook and the groups' resume hooks have ended.",
        source: "fenced; only the reverse mirror writes.",
        target: "clients should work on it; that is yet to be seen.",
        hang: "not for longer than 30 seconds and each group's `verify`; then it goes back.")
    case .soaking:
      Entry(
        meaning:
          "A producer's record and each group's `verify` were seen on the target; what was not "
          + "looked at, or not seen, stands in the journal as SKIPPED.",
        source: "fenced; the reverse mirror keeps it up to date.",
        target: "clients work on it.",
        hang: "it waits for a person, without limit: `ferry finalize` or `ferry rollback`.")
    case .finalizing:
      Entry(
        meaning: "A person gave up the way back.",
        source: "fenced; the reverse mirror is being stopped.",
        target: "clients work on it.",
        hang: "end `ferry run` and run it again.")
    case .finalized:
      Entry(
        meaning: "Done. No mirror runs.",
        source: "stays as it is: fenced, with all its records.",
        target: "clients work on it.",
        hang: "it rests; nothing is going on.")
    case .withdrawing:
      Entry(
        meaning: "The stage goes back; no client has moved. The mirror stops.",
        source: "producers stand still until the unfence hook has run; groups may be paused.",
        target: "keeps what it holds.",
        hang: "a resume or unfence hook: see `hook-failed.md`.")
    case .recalling:
      Entry(
        meaning: "The stage goes back; its producers never moved.",
        source: "the unfence hook runs or ran, if the fence was up; producers write.",
        target: "the mirror goes on; groups read until their pause hook has run.",
        hang: "a hook (`hook-failed.md`), or a group with members (`group-not-empty.md`).")
    case .recalled:
      Entry(
        meaning: "All groups are paused and empty on the target; their commits were carried back.",
        source: "producers write; the groups' resume hooks run, ran, or are about to.",
        target: "keeps what it holds.",
        hang: "a resume hook: see `hook-failed.md`.")
    case .retreating:
      Entry(
        meaning: "The stage goes back from the target.",
        source: "fenced; the reverse mirror brings what is born on the target.",
        target: "the fence hook runs, ran, or is about to: producers may stand still. Groups read.",
        hang: "the fence hook, or a writer that goes on: see `fence-does-not-hold.md`.")
    case .targetFenced:
      Entry(
        meaning: "Every end offset of the target stood still for `stability`.",
        source: "fenced; the reverse mirror brings the rest.",
        target: "producers stand still; groups may read.",
        hang: "not for longer than 5 minutes, then it stops: see `drain-stalls.md`.")
    case .reverseDrained:
      Entry(
        meaning:
          "The source holds all that was born on the target, and the reverse mirror was stopped.",
        source: "complete; fenced.",
        target: "producers stand still; groups may read.",
        hang: "comparing takes as long as reading both sides: see `validation-difference.md`.")
    case .reverseSealed:
      Entry(
        meaning: "What was carried back is equal on both sides.",
        source: "complete; fenced. Group commits may be there in part.",
        target: "producers stand still; groups may read until their pause hook has run.",
        hang: "a pause hook (`hook-failed.md`), or a group with members (`group-not-empty.md`).")
    case .translatedBack:
      Entry(
        meaning: "All groups are paused and empty; their commits were translated back.",
        source: "complete, with the groups' commits, written and read back; fenced.",
        target: "producers stand still; groups are paused.",
        hang: "a hook: see `hook-failed.md`.")
    case .returned:
      Entry(
        meaning: "Producers and groups were moved to the source; its fence is yet to be lifted.",
        source: "groups read; producers stand still until the unfence hook has run.",
        target: "fenced; no client is on it.",
        hang: "the unfence hook: see `hook-failed.md`.")
    case .rolledBack:
      Entry(
        meaning:
          "Clients work on the source, as before. `ferry run --again` tries the stage anew without "
          + "copying anything twice.",
        source: "as before, with what was born on the target, if clients were there.",
        target:
          "keeps what it holds, commits included. Nothing is deleted. If it was fenced, it still is; "
          + "the next attempt lifts that before its switch.",
        hang: "it rests; nothing is going on.")
    }
  }
}
