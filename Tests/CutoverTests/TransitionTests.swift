import Cutover
import KafkaModel
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

  /// The rows of both strategies, and those of one alone.
  static let table: [(row: Row, only: Strategy?)] = [
    (Row(.planned, .provision, .provisioned, fails: nil, back: .rolledBack), nil),
    (Row(.provisioned, .mirror, .mirroring, fails: nil, back: .rolledBack), nil),
    (Row(.mirroring, .catchUp, .caughtUp, fails: nil, back: .rolledBack), nil),
    (Row(.caughtUp, .validate, .validated, fails: nil, back: .rolledBack), nil),
    (Row(.validated, .approve, .approved, fails: nil, back: .rolledBack), nil),
    (Row(.approved, .fence, .fenced, fails: .withdrawing, back: .withdrawing), .together),
    (
      Row(.approved, .carryGroups, .groupsCarried, fails: .withdrawing, back: .withdrawing),
      .consumersFirst
    ),
    (
      Row(.groupsCarried, .moveGroups, .groupsMoved, fails: .recalling, back: .recalling),
      .consumersFirst
    ),
    (Row(.groupsMoved, .follow, .following, fails: .recalling, back: .recalling), .consumersFirst),
    (Row(.following, .fence, .fenced, fails: .recalling, back: .recalling), .consumersFirst),
    (Row(.fenced, .drain, .drained, fails: .withdrawing, back: .withdrawing), .together),
    (Row(.fenced, .drain, .drained, fails: .recalling, back: .recalling), .consumersFirst),
    (Row(.drained, .seal, .sealed, fails: .withdrawing, back: .withdrawing), .together),
    (Row(.drained, .seal, .sealed, fails: .recalling, back: .recalling), .consumersFirst),
    (Row(.sealed, .translate, .translated, fails: .withdrawing, back: .withdrawing), .together),
    (Row(.sealed, .armReverse, .reversed, fails: .recalling, back: .recalling), .consumersFirst),
    (Row(.translated, .armReverse, .reversed, fails: .withdrawing, back: .withdrawing), .together),
    (Row(.reversed, .switchClients, .switched, fails: .retreating, back: .retreating), nil),
    (Row(.switched, .observe, .soaking, fails: .retreating, back: .retreating), nil),
    (Row(.soaking, nil, nil, fails: nil, back: .retreating), nil),
    (Row(.finalizing, .finalize, .finalized, fails: nil, back: nil), nil),
    (Row(.finalized, nil, nil, fails: nil, back: nil), nil),
    (Row(.withdrawing, .withdraw, .rolledBack, fails: nil, back: nil), nil),
    (Row(.recalling, .recallGroups, .recalled, fails: nil, back: nil), .consumersFirst),
    (Row(.recalled, .withdraw, .rolledBack, fails: nil, back: nil), .consumersFirst),
    (Row(.retreating, .fenceTarget, .targetFenced, fails: nil, back: nil), nil),
    (Row(.targetFenced, .drainReverse, .reverseDrained, fails: nil, back: nil), nil),
    (Row(.reverseDrained, .sealReverse, .reverseSealed, fails: nil, back: nil), nil),
    (Row(.reverseSealed, .translateBack, .translatedBack, fails: nil, back: nil), nil),
    (Row(.translatedBack, .returnClients, .returned, fails: nil, back: nil), nil),
    (Row(.returned, .release, .rolledBack, fails: nil, back: nil), nil),
    (Row(.rolledBack, nil, nil, fails: nil, back: nil), nil),
  ]

  /// All that can be seen of a machine, and what it asked for.
  struct Outcome: Equatable {
    var phase: Phase
    var isStopped = false
    var rollbackReason: String?
    var attempt = 1
    var effects: [StageEffect] = []
  }

  static func rows(_ strategy: Strategy) -> [Row] {
    table.filter { $0.only == nil || $0.only == strategy }.map(\.row)
  }

  /// Every row with the strategies that it is true of.
  static let cases: [(Row, Strategy)] = Strategy.allCases.flatMap { strategy in
    rows(strategy).map { ($0, strategy) }
  }

  static func row(_ phase: Phase, _ strategy: Strategy) -> Row {
    rows(strategy).first { $0.phase == phase }!
  }

  private static func perform(_ phase: Phase, _ strategy: Strategy) -> [StageEffect] {
    row(phase, strategy).step.map { [.perform($0)] } ?? []
  }

  /// What `event` comes to; `nil` where it is refused.
  private static func expected(
    _ event: StageEvent, in row: Row, _ strategy: Strategy, isStopped: Bool, reason: String?
  ) -> Outcome? {
    func perform(_ phase: Phase) -> [StageEffect] { Self.perform(phase, strategy) }
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
    let strategy = start.strategy
    for event in Scripts.allEvents {
      var machine = start
      let name: Comment = "\(event) in \(row.phase)"
      let expected = expected(
        event, in: row, strategy, isStopped: isStopped, reason: start.rollbackReason)
      do throws(CutoverError) {
        let effects = try machine.apply(event)
        let outcome = Outcome(
          phase: machine.phase, isStopped: machine.failure != nil,
          rollbackReason: machine.rollbackReason, attempt: machine.attempt, effects: effects)
        #expect(outcome == expected, name)
        #expect(
          machine.step == (outcome.isStopped ? nil : Self.row(machine.phase, strategy).step), name)
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

  @Test(
    "The table knows each phase of a strategy once, and each step", arguments: Strategy.allCases)
  func tableIsWhole(_ strategy: Strategy) {
    let rows = Self.rows(strategy)
    #expect(rows.map(\.phase) == strategy.phases)
    #expect(rows.allSatisfy { ($0.step == nil) == ($0.success == nil) })
  }

  @Test("Every phase and every step belongs to a strategy")
  func nothingIsLeftOver() {
    #expect(Set(Self.table.map(\.row.phase)) == Set(Phase.allCases))
    #expect(Set(Self.table.compactMap(\.row.step)) == Set(Step.allCases))
  }

  @Test("Each phase takes exactly the events of its row", arguments: cases)
  func eachPhase(_ row: Row, _ strategy: Strategy) throws {
    let machine = try CutoverMachine(strategy, after: Scripts.to(row.phase, strategy))
    try #require(machine.phase == row.phase && machine.failure == nil)
    try Self.check(machine, row, isStopped: false)
  }

  @Test(
    "A phase whose step failed takes only a resume or a rollback",
    arguments: cases.filter { $0.0.step != nil && $0.0.failure == nil })
  func eachStoppedPhase(_ row: Row, _ strategy: Strategy) throws {
    let machine = try CutoverMachine(
      strategy,
      after: Scripts.to(row.phase, strategy) + [.failed(row.step!, reason: "broke")])
    try #require(machine.phase == row.phase && machine.failure != nil)
    try Self.check(machine, row, isStopped: true)
  }

  @Test("Phases with a way back are those in which a rollback is taken", arguments: cases)
  func waysBack(_ row: Row, _ strategy: Strategy) {
    let expected: WayBack =
      switch row.rollback {
      case .rolledBack: .nothingToUndo
      case .withdrawing: .withdraw
      case .recalling: .recall
      case .retreating: .retreat
      default:
        [.finalizing, .finalized, .rolledBack].contains(row.phase) ? WayBack.none : .underway
      }
    #expect(row.phase.wayBack(strategy) == expected)
    #expect(row.phase.nextStep(strategy) == row.step && row.step?.reaches == row.success)
  }

  @Test("Records flow one way at a time", arguments: Phase.allCases)
  func mirrors(_ phase: Phase) {
    let forward: Set<Phase> = [
      .mirroring, .caughtUp, .validated, .approved, .groupsCarried, .groupsMoved, .following,
      .fenced, .drained, .recalling,
    ]
    let reverse: Set<Phase> = [
      .reversed, .switched, .soaking, .retreating, .targetFenced, .reverseDrained,
    ]
    #expect(phase.isForwardMirrored == forward.contains(phase))
    #expect(phase.isReverseMirrored == reverse.contains(phase))
    #expect(!(phase.isForwardMirrored && phase.isReverseMirrored))
  }
}
