import Cutover

/// Ways to every phase, each a list of events that a new machine takes.
enum Scripts {
  private static let there: [Step] = [
    .provision, .mirror, .catchUp, .validate, .approve, .fence, .drain, .seal, .translate,
    .armReverse, .switchClients, .observe,
  ]
  private static let back: [Step] = [
    .fenceTarget, .drainReverse, .sealReverse, .translateBack, .returnClients, .release,
  ]

  static func to(_ phase: Phase) -> [StageEvent] {
    switch phase {
    case .planned: there(steps: 0)
    case .provisioned: there(steps: 1)
    case .mirroring: there(steps: 2)
    case .caughtUp: there(steps: 3)
    case .validated: there(steps: 4)
    case .approved: there(steps: 5)
    case .fenced: there(steps: 6)
    case .drained: there(steps: 7)
    case .sealed: there(steps: 8)
    case .translated: there(steps: 9)
    case .reversed: there(steps: 10)
    case .switched: there(steps: 11)
    case .soaking: there(steps: 12)
    case .finalizing: to(.soaking) + [.finalize]
    case .finalized: to(.finalizing) + [.done(.finalize)]
    case .withdrawing: to(.sealed) + [.rollback(reason: "asked")]
    case .retreating: back(steps: 0)
    case .targetFenced: back(steps: 1)
    case .reverseDrained: back(steps: 2)
    case .reverseSealed: back(steps: 3)
    case .translatedBack: back(steps: 4)
    case .returned: back(steps: 5)
    case .rolledBack: back(steps: 6)
    }
  }

  private static func there(steps count: Int) -> [StageEvent] {
    [.resumed] + there.prefix(count).map { .done($0) }
  }

  private static func back(steps count: Int) -> [StageEvent] {
    to(.soaking) + [.rollback(reason: "asked")] + back.prefix(count).map { .done($0) }
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
  init(after events: [StageEvent]) throws {
    self.init()
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
