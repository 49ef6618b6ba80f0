import Cutover
import Foundation
import KafkaModel
import Testing

/// What holds of any stage, whatever happens to it.
@Suite("Any stage")
struct PropertyTests {
  /// A stage to which anything happened that may happen, and what its journal holds.
  private struct Walk {
    var machine: CutoverMachine
    var journal: [StageEvent] = []
    var effects: [[StageEffect]] = []

    /// Draws events, mostly those that lead on; keeps what the machine takes.
    init(seed: Int, count: Int = 120) {
      machine = CutoverMachine(PropertyTests.strategy(seed))
      var random = SeededGenerator(seed: seed)
      for _ in 0..<count {
        let leadsOn = machine.step.map { StageEvent.done($0) } ?? .resumed
        let event =
          Int.random(in: 0..<4, using: &random) > 0
          ? leadsOn : Scripts.allEvents.randomElement(using: &random)!
        guard let effects = try? machine.apply(event) else { continue }
        journal.append(event)
        self.effects.append(effects)
      }
    }
  }

  private static let seeds = 1...120

  private static func strategy(_ seed: Int) -> Strategy {
    seed.isMultiple(of: 2) ? .together : .consumersFirst
  }

  @Test("Walks reach every phase, so that they mean something")
  func walksGoEverywhere() throws {
    var seen: Set<Phase> = []
    for seed in Self.seeds {
      var machine = CutoverMachine(Self.strategy(seed))
      for event in Walk(seed: seed).journal {
        _ = try machine.apply(event)
        seen.insert(machine.phase)
      }
    }
    #expect(seen == Set(Phase.allCases))
  }

  @Test("The fold of its journal is the live machine, effects included", arguments: seeds)
  func foldIsLive(_ seed: Int) throws {
    let walk = Walk(seed: seed)
    let journal = try JSONDecoder().decode(
      [StageEvent].self, from: JSONEncoder().encode(walk.journal))
    var folded = CutoverMachine(Self.strategy(seed))
    let effects = try journal.map { try folded.apply($0) }
    #expect(folded == walk.machine)
    #expect(effects == walk.effects)
  }

  @Test("Resumed after any prefix of its journal, it comes to an end", arguments: seeds)
  func everyPrefixConverges(_ seed: Int) throws {
    let walk = Walk(seed: seed)
    for count in 0...walk.journal.count {
      var machine = try CutoverMachine(
        Self.strategy(seed), after: Array(walk.journal.prefix(count)))
      var steps = try machine.run(.resumed)
      if machine.phase == .soaking { steps += try machine.run(.finalize) }
      #expect([.finalized, .rolledBack].contains(machine.phase))
      #expect(Set(steps).count == steps.count, "no step is performed twice on the way")
      #expect(machine.failure == nil)
    }
  }

  @Test("Where there is a way back, a rollback takes it to its end", arguments: seeds)
  func everyWayBackEnds(_ seed: Int) throws {
    let walk = Walk(seed: seed)
    for count in 0...walk.journal.count {
      var machine = try CutoverMachine(
        Self.strategy(seed), after: Array(walk.journal.prefix(count)))
      let expected: [Step]
      switch machine.wayBack {
      case .nothingToUndo: expected = []
      case .withdraw: expected = [.withdraw]
      case .recall: expected = [.recallGroups, .withdraw]
      case .retreat:
        expected = [
          .fenceTarget, .drainReverse, .sealReverse, .translateBack, .returnClients, .release,
        ]
      case .underway, .none: continue
      }
      let attempt = machine.attempt
      var effects = try machine.apply(.rollback(reason: "asked"))
      if case .cancel = effects.first { effects.removeFirst() }
      #expect(effects == (expected.first.map { [.perform($0)] } ?? []))
      for step in expected { _ = try machine.apply(.done(step)) }
      #expect(machine.phase == .rolledBack)
      #expect(machine.rollbackReason == "asked" && machine.attempt == attempt)
    }
  }

  @Test("It asks for one thing at a time, and cancels what went on first", arguments: seeds)
  func effectsAreSingle(_ seed: Int) throws {
    let walk = Walk(seed: seed)
    var machine = CutoverMachine(Self.strategy(seed))
    for (event, effects) in zip(walk.journal, walk.effects) {
      let goingOn = machine.step
      _ = try machine.apply(event)
      var rest = effects[...]
      if case .rollback = event, let goingOn {
        #expect(rest.popFirst() == .cancel(goingOn))
      }
      #expect(Array(rest) == (machine.step.map { [.perform($0)] } ?? []))
    }
  }

  @Test("Past `finalize` it only ever gets to `finalized`", arguments: seeds)
  func noReturn(_ seed: Int) throws {
    var machine = CutoverMachine(Self.strategy(seed))
    var isFinal = false
    for event in Walk(seed: seed).journal {
      _ = try machine.apply(event)
      if event == .finalize { isFinal = true }
      #expect(isFinal == [.finalizing, .finalized].contains(machine.phase))
      guard isFinal else { continue }
      #expect(throws: CutoverError.self) { try machine.apply(.rollback(reason: "late")) }
      #expect(throws: CutoverError.self) { try machine.apply(.reopen) }
    }
  }

  @Test("Only a new attempt counts, and it forgets the old one", arguments: seeds)
  func attempts(_ seed: Int) throws {
    var machine = CutoverMachine(Self.strategy(seed))
    for event in Walk(seed: seed).journal {
      let before = machine.attempt
      _ = try machine.apply(event)
      #expect(machine.attempt == before + (event == .reopen ? 1 : 0))
      if event == .reopen {
        #expect(machine.phase == .planned)
        #expect(machine.rollbackReason == nil && machine.failure == nil)
      }
    }
  }

  /// The order in which things are true, not the order of phases: read off the events alone.
  @Test("Nothing is promised before its ground is laid", arguments: seeds)
  func ground(_ seed: Int) throws {
    var machine = CutoverMachine(Self.strategy(seed))
    // Steps that succeeded, and steps that were asked for, in this attempt.
    var done: Set<Step> = []
    var begun: Set<Step> = []
    for event in Walk(seed: seed).journal {
      if event == .reopen {
        done = []
        begun = []
      }
      if case .done(let step) = event { done.insert(step) }
      for case .perform(let step) in try machine.apply(event) { begun.insert(step) }
      if begun.contains(.fence) { #expect(done.isSuperset(of: [.validate, .approve])) }
      if begun.contains(.translate) { #expect(done.isSuperset(of: [.fence, .drain, .seal])) }
      if begun.contains(.carryGroups) { #expect(done.isSuperset(of: [.validate, .approve])) }
      if begun.contains(.moveGroups) { #expect(done.contains(.carryGroups)) }
      if begun.contains(.armReverse) { #expect(done.isSuperset(of: [.fence, .drain, .seal])) }
      if begun.contains(.switchClients) {
        let groups: Step = machine.strategy == .together ? .translate : .moveGroups
        #expect(done.isSuperset(of: [groups, .armReverse]))
      }
      if begun.contains(.finalize) { #expect(done.contains(.observe)) }
      guard machine.phase == .rolledBack else { continue }
      // Whoever fenced the source unfences it, and whoever moved clients carries back what they wrote.
      if begun.contains(.switchClients) {
        #expect(
          done.isSuperset(of: [
            .fenceTarget, .drainReverse, .sealReverse, .translateBack, .returnClients, .release,
          ]))
      } else if begun.contains(.moveGroups) {
        #expect(done.isSuperset(of: [.recallGroups, .withdraw]))
      } else if begun.contains(.fence) || begun.contains(.carryGroups) {
        #expect(done.contains(.withdraw))
      }
    }
  }
}
