package import KafkaModel

/// How far a stage has come. What is true of both clusters in each is in `Runbooks/states.md`.
package enum Phase: String, Hashable, Sendable, Codable, CaseIterable {
  // There.
  case planned, provisioned, mirroring, caughtUp, validated, approved
  // Only where groups move first.
  case groupsCarried, groupsMoved, following
  case fenced, drained, sealed, translated, reversed, switched, soaking
  case finalizing, finalized
  // And back: before any client moved ...
  case withdrawing
  // ... while only groups were on the target ...
  case recalling, recalled
  // ... and after.
  case retreating, targetFenced, reverseDrained, reverseSealed, translatedBack, returned
  case rolledBack

  /// The step that leads on from here by itself; `nil` where the stage rests or waits for a person.
  package func nextStep(_ strategy: Strategy) -> Step? {
    switch self {
    case .planned: .provision
    case .provisioned: .mirror
    case .mirroring: .catchUp
    case .caughtUp: .validate
    case .validated: .approve
    case .approved: strategy == .together ? .fence : .carryGroups
    case .groupsCarried: .moveGroups
    case .groupsMoved: .follow
    case .following: .fence
    case .fenced: .drain
    case .drained: .seal
    case .sealed: strategy == .together ? .translate : .armReverse
    case .translated: .armReverse
    case .reversed: .switchClients
    case .switched: .observe
    case .soaking, .finalized, .rolledBack: nil
    case .finalizing: .finalize
    case .withdrawing, .recalled: .withdraw
    case .recalling: .recallGroups
    case .retreating: .fenceTarget
    case .targetFenced: .drainReverse
    case .reverseDrained: .sealReverse
    case .reverseSealed: .translateBack
    case .translatedBack: .returnClients
    case .returned: .release
    }
  }

  /// What it would take to go back from here.
  package func wayBack(_ strategy: Strategy) -> WayBack {
    switch self {
    case .planned, .provisioned, .mirroring, .caughtUp, .validated: .nothingToUndo
    // What begins in a phase may have happened: an intent counts as the act.
    case .approved, .translated: .withdraw
    case .fenced, .drained, .sealed: strategy == .together ? .withdraw : .recall
    case .groupsCarried, .groupsMoved, .following: .recall
    case .reversed, .switched, .soaking: .retreat
    case .finalizing, .finalized: .none
    case .withdrawing, .recalling, .recalled, .retreating, .targetFenced, .reverseDrained,
      .reverseSealed, .translatedBack, .returned:
      .underway
    case .rolledBack: .none
    }
  }

  /// Clients are on the target, or may be, so records flow back to the source.
  package var isReverseMirrored: Bool {
    switch self {
    case .reversed, .switched, .soaking, .retreating, .targetFenced, .reverseDrained: true
    default: false
    }
  }

  /// Records flow from the source to the target.
  package var isForwardMirrored: Bool {
    switch self {
    case .mirroring, .caughtUp, .validated, .approved, .groupsCarried, .groupsMoved, .following,
      .fenced, .drained, .recalling:
      true
    default: false
    }
  }
}

/// What a rollback has to undo.
package enum WayBack: String, Hashable, Sendable, Codable {
  case nothingToUndo
  /// Unfence the source and resume the groups there; no client has moved.
  case withdraw
  /// Lift the source's fence, carry the groups' commits back and resume them there; producers never
  /// moved.
  case recall
  /// Fence the target, carry back what was born there, move clients and groups back.
  case retreat
  /// A rollback is going on.
  case underway
  /// Finalized, or rolled back already.
  case none
}

extension Strategy {
  /// The steps that follow one another from `phase` on, each with the phase that its success leads to.
  package func path(from phase: Phase) -> [(step: Step, reaches: Phase)] {
    var path: [(step: Step, reaches: Phase)] = []
    var phase = phase
    while let step = phase.nextStep(self) {
      path.append((step, step.reaches))
      phase = step.reaches
    }
    return path
  }

  /// The phases that a stage of this strategy can be in, in the order in which they are listed.
  package var phases: [Phase] {
    var starts: [Phase] = [.planned, .finalizing, .withdrawing, .retreating]
    if self == .consumersFirst { starts.append(.recalling) }
    let found = Set(starts.flatMap { path(from: $0).map(\.reaches) }).union(starts)
    return Phase.allCases.filter(found.contains)
  }
}
