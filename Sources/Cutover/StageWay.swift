package import KafkaModel

/// One way that a stage can take from its beginning to a phase in which it rests.
package struct StageWay: Hashable, Sendable {
  /// A step, and the phase from which it leads on.
  package struct Leg: Hashable, Sendable {
    package let phase: Phase
    package let step: Step
  }

  /// What a person asks for on the way.
  package enum Wish: String, Hashable, Sendable, CaseIterable {
    case rollback, finalize

    fileprivate var event: StageEvent {
      switch self {
      case .rollback: .rollback(reason: "asked for")
      case .finalize: .finalize
      }
    }
  }

  package let strategy: Strategy
  /// What comes before the wish.
  package let there: [Leg]
  /// Where the wish is uttered.
  package let phase: Phase
  package let wish: Wish
  /// What follows from it.
  package let after: [Leg]
  /// Where the stage rests in the end.
  package let end: Phase
}

extension CutoverMachine {
  /// Every way of a stage of that strategy: each wish in each phase on the way there that allows it.
  /// Found by asking the machine, so that no phase and no step of it is missing.
  ///
  /// Throws: ``CutoverError`` - the machine refuses its own next step.
  package static func ways(_ strategy: Strategy) throws(CutoverError) -> [StageWay] {
    var ways: [StageWay] = []
    var machine = CutoverMachine(strategy)
    var there: [StageWay.Leg] = []
    while true {
      for wish in StageWay.Wish.allCases {
        var asked = machine
        guard (try? asked.apply(wish.event)) != nil else { continue }
        let after = try asked.performAll()
        ways.append(
          StageWay(
            strategy: strategy, there: there, phase: machine.phase, wish: wish, after: after,
            end: asked.phase))
      }
      guard let leg = try machine.performOne() else { return ways }
      there.append(leg)
    }
  }

  private mutating func performOne() throws(CutoverError) -> StageWay.Leg? {
    guard let step else { return nil }
    let leg = StageWay.Leg(phase: phase, step: step)
    _ = try apply(.done(step))
    return leg
  }

  private mutating func performAll() throws(CutoverError) -> [StageWay.Leg] {
    var legs: [StageWay.Leg] = []
    while let leg = try performOne() { legs.append(leg) }
    return legs
  }
}
