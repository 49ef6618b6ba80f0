import Cutover
import Testing

/// Every pair of phase and event, against a table that is written out here and knows nothing of the
/// machine.
@Suite("Every transition")
struct TransitionTests {
  /// What one phase makes of events.
  struct Row {
    let phase: Phase
    /// The step that goes on, and where its success leads.
    let step: Step?
    let success: Phase?
    /// Where the step's failure leads; `nil` where the stage stops.
    let failure: Phase?
    /// Where a rollback leads; `nil` where it is refused.
    let rollback: Phase?

    init(
      _ phase: Phase, _ step: Step?, _ success: Phase?, fails failure: Phase?,
      back rollback: Phase?
    ) {
      self.phase = phase
      self.step = step
      self.success = success
      self.failure = failure
      self.rollback = rollback
    }
  }

  static let table: [Row] = [
    Row(.planned, .provision, .provisioned, fails: nil, back: .rolledBack),
    Row(.provisioned, .mirror, .mirroring, fails: nil, back: .rolledBack),
    Row(.mirroring, .catchUp, .caughtUp, fails: nil, back: .rolledBack),
    Row(.caughtUp, .validate, .validated, fails: nil, back: .rolledBack),
    Row(.validated, .approve, .approved, fails: nil, back: .rolledBack),
    Row(.approved, .fence, .fenced, fails: .withdrawing, back: .withdrawing),
    Row(.fenced, .drain, .drained, fails: .withdrawing, back: .withdrawing),
    Row(.drained, .seal, .sealed, fails: .withdrawing, back: .withdrawing),
    Row(.sealed, .translate, .translated, fails: .withdrawing, back: .withdrawing),
    Row(.translated, .armReverse, .reversed, fails: .withdrawing, back: .withdrawing),
    Row(.reversed, .switchClients, .switched, fails: .retreating, back: .retreating),
    Row(.switched, .observe, .soaking, fails: .retreating, back: .retreating),
    Row(.soaking, nil, nil, fails: nil, back: .retreating),
    Row(.finalizing, .finalize, .finalized, fails: nil, back: nil),
    Row(.finalized, nil, nil, fails: nil, back: nil),
    Row(.withdrawing, .withdraw, .rolledBack, fails: nil, back: nil),
    Row(.retreating, .fenceTarget, .targetFenced, fails: nil, back: nil),
    Row(.targetFenced, .drainReverse, .reverseDrained, fails: nil, back: nil),
    Row(.reverseDrained, .sealReverse, .reverseSealed, fails: nil, back: nil),
    Row(.reverseSealed, .translateBack, .translatedBack, fails: nil, back: nil),
    Row(.translatedBack, .returnClients, .returned, fails: nil, back: nil),
    Row(.returned, .release, .rolledBack, fails: nil, back: nil),
    Row(.rolledBack, nil, nil, fails: nil, back: nil),
  ]

  /// All that can be seen of a machine, and what it asked for.
  struct Outcome: Equatable {
    var phase: Phase
    var isStopped = false
    var rollbackReason: String?
    var attempt = 1
    var effects: [StageEffect] = []
  }

  static func row(_ phase: Phase) -> Row { table.first { $0.phase == phase }! }

  private static func perform(_ phase: Phase) -> [StageEffect] {
    row(phase).step.map { [.perform($0)] } ?? []
  }

  /// What `event` comes to; `nil` where it is refused.
  private static func expected(
    _ event: StageEvent, in row: Row, isStopped: Bool, reason: String?
  ) -> Outcome? {
    let running = isStopped ? nil : row.step
    switch event {
    case .resumed:
      return Outcome(phase: row.phase, rollbackReason: reason, effects: perform(row.phase))
    case .done(let step):
      guard step == running, let next = row.success else { return nil }
      return Outcome(phase: next, rollbackReason: reason, effects: perform(next))
    case .failed(let step, let why):
      guard step == running else { return nil }
      guard let next = row.failure else {
        return Outcome(phase: row.phase, isStopped: true, rollbackReason: reason)
      }
      return Outcome(
        phase: next, rollbackReason: "\(step.rawValue) failed: \(why)", effects: perform(next))
    case .rollback(let why):
      guard let next = row.rollback else { return nil }
      return Outcome(
        phase: next, rollbackReason: why,
        effects: (running.map { [.cancel($0)] } ?? []) + perform(next))
    case .finalize:
      guard row.phase == .soaking else { return nil }
      return Outcome(phase: .finalizing, effects: [.perform(.finalize)])
    case .reopen:
      guard row.phase == .rolledBack else { return nil }
      return Outcome(phase: .planned, attempt: 2, effects: [.perform(.provision)])
    }
  }

  private static func check(_ start: CutoverMachine, _ row: Row, isStopped: Bool) throws {
    for event in Scripts.allEvents {
      var machine = start
      let name: Comment = "\(event) in \(row.phase)"
      let expected = expected(
        event, in: row, isStopped: isStopped, reason: start.rollbackReason)
      do throws(CutoverError) {
        let effects = try machine.apply(event)
        let outcome = Outcome(
          phase: machine.phase, isStopped: machine.failure != nil,
          rollbackReason: machine.rollbackReason, attempt: machine.attempt, effects: effects)
        #expect(outcome == expected, name)
        #expect(machine.step == (outcome.isStopped ? nil : Self.row(machine.phase).step), name)
        if case .failed(let step, let reason) = event, let failure = machine.failure {
          #expect(failure.step == step && failure.reason == reason, name)
        }
      } catch {
        #expect(expected == nil, name)
        #expect(error.phase == row.phase && error.event == event, name)
        #expect(machine == start, name)
      }
    }
  }

  @Test("The table knows each phase once, and each step")
  func tableIsWhole() {
    #expect(Self.table.map(\.phase) == Phase.allCases)
    #expect(Set(Self.table.compactMap(\.step)) == Set(Step.allCases))
    #expect(Self.table.compactMap(\.step).count == Step.allCases.count)
    #expect(Self.table.allSatisfy { ($0.step == nil) == ($0.success == nil) })
  }

  @Test("Each phase takes exactly the events of its row", arguments: Phase.allCases)
  func eachPhase(_ phase: Phase) throws {
    let machine = try CutoverMachine(after: Scripts.to(phase))
    try #require(machine.phase == phase && machine.failure == nil)
    try Self.check(machine, Self.row(phase), isStopped: false)
  }

  @Test(
    "A phase whose step failed takes only a resume or a rollback",
    arguments: table.filter { $0.step != nil && $0.failure == nil }.map(\.phase))
  func eachStoppedPhase(_ phase: Phase) throws {
    let row = Self.row(phase)
    let machine = try CutoverMachine(
      after: Scripts.to(phase) + [.failed(row.step!, reason: "broke")])
    try #require(machine.phase == phase && machine.failure != nil)
    try Self.check(machine, row, isStopped: true)
  }

  @Test("Phases with a way back are those in which a rollback is taken", arguments: table)
  func waysBack(_ row: Row) {
    let expected: WayBack =
      switch row.rollback {
      case .rolledBack: .nothingToUndo
      case .withdrawing: .withdraw
      case .retreating: .retreat
      default:
        [.finalizing, .finalized, .rolledBack].contains(row.phase) ? WayBack.none : .underway
      }
    #expect(row.phase.wayBack == expected)
    #expect(row.phase.nextStep == row.step && row.step?.reaches == row.success)
  }

  @Test("Records flow one way at a time", arguments: Phase.allCases)
  func mirrors(_ phase: Phase) {
    let forward: Set<Phase> = [.mirroring, .caughtUp, .validated, .approved, .fenced, .drained]
    let reverse: Set<Phase> = [
      .reversed, .switched, .soaking, .retreating, .targetFenced, .reverseDrained,
    ]
    #expect(phase.isForwardMirrored == forward.contains(phase))
    #expect(phase.isReverseMirrored == reverse.contains(phase))
    #expect(!(phase.isForwardMirrored && phase.isReverseMirrored))
  }

  @Test("Producers may stand still from `approved` to the switch, and on the way back")
  func window() {
    #expect(
      Phase.allCases.filter(\.isInWindow) == [
        .approved, .fenced, .drained, .sealed, .translated, .reversed, .withdrawing, .targetFenced,
        .reverseDrained, .reverseSealed, .translatedBack, .returned,
      ])
  }
}
