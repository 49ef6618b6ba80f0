/// One piece of work between two phases. Idempotent, or its effect can be looked up on the clusters.
package enum Step: String, Hashable, Sendable, Codable, CaseIterable {
  case provision, mirror, catchUp, validate, approve, fence, drain, seal, translate, armReverse
  case carryGroups, moveGroups, follow
  case switchClients, observe, finalize
  case withdraw, recallGroups
  case fenceTarget, drainReverse, sealReverse, translateBack, returnClients, release

  /// The phase that the step's success leads to.
  package var reaches: Phase {
    switch self {
    case .provision: .provisioned
    case .mirror: .mirroring
    case .catchUp: .caughtUp
    case .validate: .validated
    case .approve: .approved
    case .fence: .fenced
    case .drain: .drained
    case .seal: .sealed
    case .translate: .translated
    case .armReverse: .reversed
    case .carryGroups: .groupsCarried
    case .moveGroups: .groupsMoved
    case .follow: .following
    case .switchClients: .switched
    case .observe: .soaking
    case .finalize: .finalized
    case .withdraw: .rolledBack
    case .recallGroups: .recalled
    case .fenceTarget: .targetFenced
    case .drainReverse: .reverseDrained
    case .sealReverse: .reverseSealed
    case .translateBack: .translatedBack
    case .returnClients: .returned
    case .release: .rolledBack
    }
  }

  /// What the step does, for people: continues "Ferry will ...".
  package var summary: String {
    switch self {
    case .provision: "create the target topics and compare their effective configs"
    case .mirror: "start mirroring from source to target"
    case .catchUp: "wait until the mirror's lag passes the gates"
    case .validate: "compare every record mirrored so far on both sides"
    case .approve: "wait until every gate is open, and for approvals"
    case .fence: "stop the source's producers and see its end offsets stand still"
    case .drain: "mirror the source up to the fence offsets"
    case .seal: "compare every record up to the fence offsets on both sides"
    case .translate: "pause the groups, translate their commits, write and re-read them"
    case .armReverse: "start the reverse mirror and send a canary round"
    case .carryGroups:
      "pause the groups, carry their commits over while producers go on, write and re-read them"
    case .moveGroups: "resume the groups on the target and see them work there"
    case .follow: "wait for the approvals to move the producers"
    case .switchClients: "move the clients to the target"
    case .observe: "see the moved clients work on the target"
    case .finalize: "stop the reverse mirror for good"
    case .withdraw: "lift the fence and resume the groups on the source"
    case .recallGroups:
      "lift the source's fence, pause the groups on the target, carry their commits back"
    case .fenceTarget: "stop the target's producers and see its end offsets stand still"
    case .drainReverse: "carry back to the source what was born on the target"
    case .sealReverse: "compare what was carried back on both sides"
    case .translateBack: "pause the groups, translate their commits back, write and re-read them"
    case .returnClients: "move producers and groups back to the source"
    case .release: "lift the source's fence"
    }
  }
}
