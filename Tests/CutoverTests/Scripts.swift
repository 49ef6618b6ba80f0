import Cutover
import KafkaModel

/// Ways to every phase, each a list of events that a new machine takes.
enum Scripts {
  static func there(_ strategy: Strategy) -> [Step] {
    switch strategy {
    case .together:
      [
        .provision, .mirror, .catchUp, .validate, .approve, .fence, .drain, .seal, .translate,
        .armReverse, .switchClients, .observe,
      ]
    case .consumersFirst:
      [
        .provision, .mirror, .catchUp, .validate, .approve, .carryGroups, .moveGroups, .follow,
        .fence, .drain, .seal, .armReverse, .switchClients, .observe,
      ]
    }
  }
  private static let back: [Step] = [
    .fenceTarget, .drainReverse, .sealReverse, .translateBack, .returnClients, .release,
  ]

  /// The phases that go before one that is reached on the way there, by steps that succeed.
  private static let reached: [Phase: Step] = [
    .provisioned: .provision, .mirroring: .mirror, .caughtUp: .catchUp, .validated: .validate,
    .approved: .approve, .groupsCarried: .carryGroups, .groupsMoved: .moveGroups,
    .following: .follow, .fenced: .fence, .drained: .drain, .sealed: .seal,
    .translated: .translate, .reversed: .armReverse, .switched: .switchClients,
    .soaking: .observe,
  ]

  static func to(_ phase: Phase, _ strategy: Strategy = .together) -> [StageEvent] {
    if let step = reached[phase] {
      let steps = there(strategy)
      return [.resumed] + steps.prefix(through: steps.firstIndex(of: step)!).map { .done($0) }
    }
    let back = back.map { StageEvent.done($0) }
    switch phase {
    case .finalizing: return to(.soaking, strategy) + [.finalize]
    case .finalized: return to(.finalizing, strategy) + [.done(.finalize)]
    case .withdrawing:
      let last: Phase = strategy == .together ? .sealed : .approved
      return to(last, strategy) + [.rollback(reason: "asked")]
    case .recalling: return to(.drained, strategy) + [.rollback(reason: "asked")]
    case .recalled: return to(.recalling, strategy) + [.done(.recallGroups)]
    case .retreating: return to(.soaking, strategy) + [.rollback(reason: "asked")]
    case .targetFenced: return to(.retreating, strategy) + back.prefix(1)
    case .reverseDrained: return to(.retreating, strategy) + back.prefix(2)
    case .reverseSealed: return to(.retreating, strategy) + back.prefix(3)
    case .translatedBack: return to(.retreating, strategy) + back.prefix(4)
    case .returned: return to(.retreating, strategy) + back.prefix(5)
    case .rolledBack: return to(.retreating, strategy) + back.prefix(6)
    default: return [.resumed]
    }
  }

  /// Every event that there is, with one reason each.
  static var allEvents: [StageEvent] {
    [.resumed, .rollback(reason: "late"), .finalize, .reopen]
      + Step.allCases.flatMap { [.done($0), .failed($0, reason: "broke")] }
  }
}

extension CutoverMachine {
  /// The machine that `events` lead to.
  ///
  /// Throws: `CutoverError` - one of them cannot happen.
  init(_ strategy: Strategy = .together, after events: [StageEvent]) throws {
    self.init(strategy)
    for event in events { _ = try apply(event) }
  }

  /// Takes the event in and lets every step that is asked for succeed, until the stage rests.
  ///
  /// Returns: the steps, in order.
  mutating func run(_ event: StageEvent) throws -> [Step] {
    var steps: [Step] = []
    var effects = try apply(event)
    while case .perform(let step)? = effects.last {
      steps.append(step)
      effects = try apply(.done(step))
    }
    return steps
  }
}
