import Cutover
import Foundation
import KafkaModel
import Testing

@Suite("The cutover machine")
struct CutoverMachineTests {
  @Test("A new stage is planned and waits for its engine")
  func start() {
    let machine = CutoverMachine(.together)
    #expect(machine.phase == .planned && machine.attempt == 1)
    #expect(machine.failure == nil && machine.rollbackReason == nil)
  }

  @Test(
    "Going there performs every step in order and rests while soaking",
    arguments: Strategy.allCases)
  func there(_ strategy: Strategy) throws {
    var machine = CutoverMachine(strategy)
    #expect(try machine.run(.resumed) == Scripts.there(strategy))
    #expect(machine.phase == .soaking)
    #expect(try machine.run(.finalize) == [.finalize])
    #expect(machine.phase == .finalized)
  }

  @Test("A rollback cancels the step that is going on, first")
  func rollbackCancels() throws {
    var machine = try CutoverMachine(after: Scripts.to(.drained))
    #expect(try machine.apply(.rollback(reason: "asked")) == [.cancel(.seal), .perform(.withdraw)])
  }

  @Test("A rollback before the fence is over at once")
  func earlyRollback() throws {
    var machine = try CutoverMachine(after: Scripts.to(.mirroring))
    #expect(try machine.apply(.rollback(reason: "asked")) == [.cancel(.catchUp)])
    #expect(machine.phase == .rolledBack)
  }

  @Test("A rollback while soaking cancels nothing, for nothing is going on")
  func soakingRollback() throws {
    var machine = try CutoverMachine(after: Scripts.to(.soaking))
    #expect(try machine.apply(.rollback(reason: "asked")) == [.perform(.fenceTarget)])
  }

  @Test("A failure in the window goes back by itself, and says why")
  func failureInWindow() throws {
    var machine = try CutoverMachine(after: Scripts.to(.approved))
    #expect(
      try machine.apply(.failed(.fence, reason: "orders:3 moved")) == [.perform(.withdraw)])
    #expect(machine.rollbackReason == "fence failed: orders:3 moved" && machine.failure == nil)
    #expect(try machine.apply(.done(.withdraw)) == [])
    #expect(machine.phase == .rolledBack)
  }

  @Test("Groups that moved first go back alone, whatever fails before the producers follow")
  func recall() throws {
    for (phase, step) in [
      (.groupsCarried, .moveGroups), (.groupsMoved, .follow), (.following, .fence),
      (.fenced, .drain), (.drained, .seal), (.sealed, .armReverse),
    ] as [(Phase, Step)] {
      var machine = try CutoverMachine(.consumersFirst, after: Scripts.to(phase, .consumersFirst))
      #expect(
        try machine.apply(.failed(step, reason: "broke")) == [.perform(.recallGroups)], "\(phase)")
      #expect(try machine.apply(.done(.recallGroups)) == [.perform(.withdraw)])
      #expect(try machine.apply(.done(.withdraw)) == [])
      #expect(
        machine.phase == .rolledBack && machine.rollbackReason == "\(step.rawValue) failed: broke")
      #expect(try machine.run(.reopen) == Scripts.there(.consumersFirst))
    }
  }

  @Test("A stopped step is tried again when the stage is resumed")
  func failureIsResumed() throws {
    var machine = try CutoverMachine(after: Scripts.to(.caughtUp))
    #expect(try machine.apply(.failed(.validate, reason: "broke")) == [])
    #expect(machine.failure?.reason == "broke" && machine.step == nil)
    #expect(throws: CutoverError.self) { try machine.apply(.done(.validate)) }
    #expect(try machine.apply(.resumed) == [.perform(.validate)])
  }

  @Test("A stop on the way back keeps the reason for going back")
  func stopOnTheWayBack() throws {
    var machine = try CutoverMachine(
      after: Scripts.to(.retreating) + [.failed(.fenceTarget, reason: "broke")])
    #expect(machine.rollbackReason == "asked" && machine.failure?.step == .fenceTarget)
    #expect(try machine.run(.resumed).first == .fenceTarget)
    #expect(machine.phase == .rolledBack && machine.rollbackReason == "asked")
  }

  @Test("Each new attempt begins at the beginning and counts")
  func reopenCounts() throws {
    var machine = try CutoverMachine(after: Scripts.to(.rolledBack))
    for attempt in 2...4 {
      #expect(try machine.apply(.reopen) == [.perform(.provision)])
      #expect(machine.attempt == attempt && machine.rollbackReason == nil)
      _ = try machine.apply(.rollback(reason: "again"))
    }
  }

  @Test("A resume changes nothing but a failure", arguments: TransitionTests.cases)
  func resumeIsHarmless(_ row: TransitionTests.Row, _ strategy: Strategy) throws {
    let machine = try CutoverMachine(strategy, after: Scripts.to(row.phase, strategy))
    var resumed = machine
    _ = try resumed.apply(.resumed)
    #expect(resumed == machine)
  }

  @Test(
    "What is refused is said in words",
    arguments: [
      (
        .finalized, .rollback(reason: ""),
        "the stage is past its point of no return (finalized)"
      ),
      (
        .finalizing, .rollback(reason: ""),
        "the stage is past its point of no return (finalizing)"
      ),
      (.rolledBack, .rollback(reason: ""), "the stage is rolled back already"),
      (
        .returned, .rollback(reason: ""),
        "the stage is being rolled back already (returned)"
      ),
      (.switched, .finalize, "only a soaking stage can be finalized, this one is switched"),
      (.soaking, .reopen, "only a rolled-back stage can be tried again, this one is soaking"),
      (
        .planned, .done(.seal),
        "the journal says that seal was done in planned, where that cannot be"
      ),
      (
        .fenced, .failed(.seal, reason: "broke"),
        "the journal says that seal failed in fenced, where that cannot be"
      ),
    ] as [(Phase, StageEvent, String)])
  func refusals(_ phase: Phase, _ event: StageEvent, _ summary: String) throws {
    var machine = try CutoverMachine(after: Scripts.to(phase))
    let error = try #require(throws: CutoverError.self) { try machine.apply(event) }
    #expect(error.summary == summary)
    #expect(error.runbook == "states.md" && !error.hint.isEmpty)
  }

  /// The journal's rows outlive the release that wrote them.
  @Test(
    "Events stand in the journal in this form",
    arguments: [
      (.resumed, #"{"resumed":{}}"#), (.done(.fence), #"{"done":{"_0":"fence"}}"#),
      (.failed(.drain, reason: "slow"), #"{"failed":{"_0":"drain","reason":"slow"}}"#),
      (.rollback(reason: "late"), #"{"rollback":{"reason":"late"}}"#),
      (.finalize, #"{"finalize":{}}"#), (.reopen, #"{"reopen":{}}"#),
    ] as [(StageEvent, String)])
  func events(_ event: StageEvent, _ json: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    #expect(try String(decoding: encoder.encode(event), as: UTF8.self) == json)
    #expect(try JSONDecoder().decode(StageEvent.self, from: Data(json.utf8)) == event)
  }
}
