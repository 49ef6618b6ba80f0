import Cutover
import Foundation
import KafkaModel
import Testing

/// The shortest list of events that leads to each phase.
private func script(to phase: Phase) -> [StageEvent] {
  var found: [Phase: [StageEvent]] = [.planned: [.resumed]]
  var open: [Phase] = [.planned]
  while let current = open.first {
    open.removeFirst()
    for event in allEvents(in: current) {
      var machine = CutoverMachine.folded(found[current]!)
      guard (try? machine.apply(event)) != nil, found[machine.phase] == nil,
        machine.failure == nil
      else { continue }
      found[machine.phase] = found[current]! + [event]
      open.append(machine.phase)
    }
  }
  return found[phase] ?? []
}

private func allEvents(in phase: Phase) -> [StageEvent] {
  var events: [StageEvent] = [.resumed, .rollback(reason: "asked"), .finalize, .reopen]
  for step in Step.allCases { events += [.done(step), .failed(step, reason: "broke")] }
  return events
}

extension CutoverMachine {
  fileprivate static func folded(_ events: [StageEvent]) -> CutoverMachine {
    var machine = CutoverMachine()
    for event in events { _ = try? machine.apply(event) }
    return machine
  }
}

@Suite("The cutover machine")
struct CutoverMachineTests {
  @Test("Every phase can be reached", arguments: Phase.allCases)
  func everyPhaseIsReached(_ phase: Phase) {
    #expect(CutoverMachine.folded(script(to: phase)).phase == phase)
  }

  @Test("Going there passes all phases in order and rests while soaking")
  func thereInOrder() throws {
    var machine = CutoverMachine()
    var effects = try machine.apply(.resumed)
    var phases: [Phase] = [machine.phase]
    while case .perform(let step)? = effects.last {
      effects = try machine.apply(.done(step))
      phases.append(machine.phase)
    }
    #expect(
      phases == [
        .planned, .provisioned, .mirroring, .caughtUp, .validated, .approved, .fenced, .drained,
        .sealed, .translated, .reversed, .switched, .soaking,
      ])
    #expect(try machine.apply(.finalize) == [.perform(.finalize)])
    #expect(try machine.apply(.done(.finalize)) == [])
    #expect(machine.phase == .finalized)
  }

  @Test("Every pair of phase and event does what it should, or is refused and changes nothing")
  func everyPair() {
    for phase in Phase.allCases {
      let start = CutoverMachine.folded(script(to: phase))
      for event in allEvents(in: phase) {
        var machine = start
        let effects = try? machine.apply(event)
        switch expected(phase, event) {
        case .refused:
          #expect(effects == nil, "\(phase) \(event)")
          #expect(machine == start, "\(phase) \(event)")
        case .leads(let next):
          #expect(effects != nil, "\(phase) \(event)")
          #expect(machine.phase == next, "\(phase) \(event)")
          #expect(machine.failure == nil, "\(phase) \(event)")
          let perform = next.nextStep.map { StageEffect.perform($0) }
          #expect(effects?.last == perform || (perform == nil && effects?.isEmpty != nil))
        case .stops:
          #expect(effects == [], "\(phase) \(event)")
          #expect(machine.phase == phase && machine.failure != nil && machine.step == nil)
        }
      }
    }
  }

  private enum Expected {
    case refused
    case stops
    case leads(Phase)
  }

  /// Written out independently of the machine.
  private func expected(_ phase: Phase, _ event: StageEvent) -> Expected {
    let untouched: Set<Phase> = [.planned, .provisioned, .mirroring, .caughtUp, .validated]
    let fenced: Set<Phase> = [.approved, .fenced, .drained, .sealed, .translated]
    let moved: Set<Phase> = [.reversed, .switched, .soaking]
    let steps: [Phase: (Step, Phase)] = [
      .planned: (.provision, .provisioned), .provisioned: (.mirror, .mirroring),
      .mirroring: (.catchUp, .caughtUp), .caughtUp: (.validate, .validated),
      .validated: (.approve, .approved), .approved: (.fence, .fenced),
      .fenced: (.drain, .drained), .drained: (.seal, .sealed), .sealed: (.translate, .translated),
      .translated: (.armReverse, .reversed), .reversed: (.switchClients, .switched),
      .switched: (.observe, .soaking), .finalizing: (.finalize, .finalized),
      .withdrawing: (.withdraw, .rolledBack), .retreating: (.fenceTarget, .targetFenced),
      .targetFenced: (.drainReverse, .reverseDrained),
      .reverseDrained: (.sealReverse, .reverseSealed),
      .reverseSealed: (.translateBack, .translatedBack),
      .translatedBack: (.returnClients, .returned), .returned: (.release, .rolledBack),
    ]
    switch event {
    case .resumed: return .leads(phase)
    case .done(let step):
      guard let (own, next) = steps[phase], own == step else { return .refused }
      return .leads(next)
    case .failed(let step, _):
      guard let (own, _) = steps[phase], own == step else { return .refused }
      if fenced.contains(phase) { return .leads(.withdrawing) }
      if moved.contains(phase) { return .leads(.retreating) }
      return .stops
    case .rollback:
      if untouched.contains(phase) { return .leads(.rolledBack) }
      if fenced.contains(phase) { return .leads(.withdrawing) }
      if moved.contains(phase) { return .leads(.retreating) }
      return .refused
    case .finalize: return phase == .soaking ? .leads(.finalizing) : .refused
    case .reopen: return phase == .rolledBack ? .leads(.planned) : .refused
    }
  }

  @Test(
    "From every phase with a way back, done steps alone lead to rolledBack",
    arguments: Phase.allCases)
  func everyWayBackEnds(_ phase: Phase) throws {
    var machine = CutoverMachine.folded(script(to: phase))
    guard [.nothingToUndo, .withdraw, .retreat].contains(phase.wayBack) else { return }
    var effects = try machine.apply(.rollback(reason: "asked"))
    while case .perform(let step)? = effects.last { effects = try machine.apply(.done(step)) }
    #expect(machine.phase == .rolledBack)
    #expect(machine.rollbackReason == "asked")
  }

  @Test("A rollback cancels the step that is going on, first")
  func rollbackCancels() throws {
    var machine = CutoverMachine.folded(script(to: .drained))
    #expect(try machine.apply(.rollback(reason: "asked")) == [.cancel(.seal), .perform(.withdraw)])
  }

  @Test("A stopped step is tried again when the stage is resumed")
  func failureIsResumed() throws {
    var machine = CutoverMachine.folded(script(to: .caughtUp))
    #expect(try machine.apply(.failed(.validate, reason: "broke")) == [])
    #expect(machine.failure?.reason == "broke")
    #expect(throws: CutoverError.self) { try machine.apply(.done(.validate)) }
    #expect(try machine.apply(.resumed) == [.perform(.validate)])
  }

  @Test("A new attempt begins at the beginning and counts")
  func reopenCounts() throws {
    var machine = CutoverMachine.folded(script(to: .rolledBack))
    #expect(try machine.apply(.reopen) == [.perform(.provision)])
    #expect(machine.attempt == 2 && machine.rollbackReason == nil)
  }

  @Test("Resuming after any prefix of any journal goes on to an end")
  func everyPrefixConverges() throws {
    for phase in Phase.allCases {
      let events = script(to: phase)
      for count in 0...events.count {
        var machine = CutoverMachine.folded(Array(events.prefix(count)))
        var effects = try machine.apply(.resumed)
        while case .perform(let step)? = effects.last { effects = try machine.apply(.done(step)) }
        #expect([.soaking, .finalized, .rolledBack].contains(machine.phase))
      }
    }
  }

  @Test("Events survive the journal's encoding")
  func eventsRoundTrip() throws {
    for event in allEvents(in: .planned) {
      let data = try JSONEncoder().encode(event)
      #expect(try JSONDecoder().decode(StageEvent.self, from: data) == event)
    }
  }

  @Test("The states page is the machine's own (FERRY_RENDER=1 writes it)")
  func statesPage() throws {
    let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../Runbooks/states.md").standardized
    if ProcessInfo.processInfo.environment["FERRY_RENDER"] == "1" {
      try Data(StatesPage.markdown.utf8).write(to: page)
    }
    #expect(try String(contentsOf: page, encoding: .utf8) == StatesPage.markdown)
  }
}
