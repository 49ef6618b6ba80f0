/// How far a stage has come. What is true of both clusters in each is in `Runbooks/states.md`.
package enum Phase: String, Hashable, Sendable, Codable, CaseIterable {
  // There.
  case planned, provisioned, mirroring, caughtUp, validated, approved
  case fenced, drained, sealed, translated, reversed, switched, soaking
  case finalizing, finalized
  // And back: before any client moved ...
  case withdrawing
  // ... and after.
  case retreating, targetFenced, reverseDrained, reverseSealed, translatedBack, returned
  case rolledBack

  /// The step that leads on from here by itself; `nil` where the stage rests or waits for a person.
  package var nextStep: Step? {
    switch self {
    case .planned: .provision
    case .provisioned: .mirror
    case .mirroring: .catchUp
    case .caughtUp: .validate
    case .validated: .approve
    case .approved: .fence
    case .fenced: .drain
    case .drained: .seal
    case .sealed: .translate
    case .translated: .armReverse
    case .reversed: .switchClients
    case .switched: .observe
    case .soaking, .finalized, .rolledBack: nil
    case .finalizing: .finalize
    case .withdrawing: .withdraw
    case .retreating: .fenceTarget
    case .targetFenced: .drainReverse
    case .reverseDrained: .sealReverse
    case .reverseSealed: .translateBack
    case .translatedBack: .returnClients
    case .returned: .release
    }
  }

  /// What it would take to go back from here.
  package var wayBack: WayBack {
    switch self {
    case .planned, .provisioned, .mirroring, .caughtUp, .validated: .nothingToUndo
    // The fence may have begun in `approved`, the switch in `reversed`: an intent counts as the act.
    case .approved, .fenced, .drained, .sealed, .translated: .withdraw
    case .reversed, .switched, .soaking: .retreat
    case .finalizing, .finalized: .none
    case .withdrawing, .retreating, .targetFenced, .reverseDrained, .reverseSealed,
      .translatedBack, .returned:
      .underway
    case .rolledBack: .none
    }
  }

  /// Producers stand still because of the migration.
  package var isInWindow: Bool {
    switch self {
    case .approved, .fenced, .drained, .sealed, .translated, .reversed, .withdrawing, .targetFenced,
      .reverseDrained, .reverseSealed, .translatedBack, .returned:
      true
    default: false
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
    case .mirroring, .caughtUp, .validated, .approved, .fenced, .drained: true
    default: false
    }
  }
}

/// What a rollback has to undo.
package enum WayBack: String, Hashable, Sendable, Codable {
  case nothingToUndo
  /// Unfence the source and resume the groups there; no client has moved.
  case withdraw
  /// Fence the target, carry back what was born there, move clients and groups back.
  case retreat
  /// A rollback is going on.
  case underway
  /// Finalized, or rolled back already.
  case none
}
