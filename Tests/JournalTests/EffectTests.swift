import Foundation
import Journal
import Testing

@Suite struct `Effects and answers` {
  let file: TemporaryJournal
  let journal: MigrationJournal
  let lease: Lease

  init() throws {
    file = try TemporaryJournal()
    journal = try file.open()
    lease = try journal.acquire()
  }

  @Test func `An effect is pending from the event that begins it to the one that ends it`() throws {
    try journal.append(
      [NewEvent(kind: "a"), NewEvent(kind: "b")],
      begin: [
        NewEffect(id: "fence", stage: "wave-1", kind: "hook", payload: #"{"x":1}"#),
        NewEffect(id: "probe", kind: "probe"),
      ], lease: lease)
    let pending = try file.open(.readOnly).pendingEffects()
    #expect(pending.map(\.id) == ["fence", "probe"])
    #expect(pending[0].stage == "wave-1" && pending[0].payload == #"{"x":1}"#)
    #expect(pending[0].beganSequence == 2)
    try journal.append([NewEvent(kind: "c")], end: ["fence"], lease: lease)
    #expect(try journal.pendingEffects().map(\.id) == ["probe"])
  }

  @Test func `An id can be used again once its effect has ended`() throws {
    try journal.append([NewEvent(kind: "a")], begin: [NewEffect(id: "x", kind: "k")], lease: lease)
    #expect(throws: JournalError.self) {
      try journal.append(
        [NewEvent(kind: "b")], begin: [NewEffect(id: "x", kind: "k")], lease: lease)
    }
    try journal.append(
      [NewEvent(kind: "c")], begin: [NewEffect(id: "x", kind: "k")], end: ["x"], lease: lease)
    #expect(try journal.pendingEffects().map(\.beganSequence) == [2])
  }

  @Test func `Where one part is refused nothing is recorded`() throws {
    #expect(throws: JournalError.unknownEffect("y")) {
      try journal.append(
        [NewEvent(kind: "a")], begin: [NewEffect(id: "x", kind: "k")], end: ["y"], lease: lease)
    }
    #expect(throws: JournalError.unknownCommand(5)) {
      try journal.append(
        [NewEvent(kind: "a")], begin: [NewEffect(id: "x", kind: "k")],
        answer: (5, CommandOutcome(accepted: true, message: "")), lease: lease)
    }
    #expect(try journal.events().isEmpty)
    #expect(try journal.pendingEffects().isEmpty)
  }

  @Test func `An effect needs an event before it`() throws {
    #expect(throws: JournalError.self) {
      try journal.append([], begin: [NewEffect(id: "x", kind: "k")], lease: lease)
    }
  }

  @Test func `A command comes from another process and is answered once, with its events`() throws {
    let other = try file.open(.existing)
    let command = NewCommand(
      kind: "rollback", stage: "wave-1", arguments: #"{"yes":true}"#, user: "kim", host: "desk",
      reason: "lag")
    let id = try other.submit(command)
    let later = try other.submit(NewCommand(kind: "pause", user: "kim", host: "desk"))
    let open = try journal.openCommands()
    #expect(open.map(\.id) == [id, later])
    #expect(open[0].kind == "rollback" && open[0].stage == "wave-1" && open[0].reason == "lag")
    #expect(open[0].arguments == command.arguments && open[0].outcome == nil)
    #expect(abs(open[0].time.timeIntervalSince(command.time)) < 0.001)

    let outcome = CommandOutcome(accepted: false, message: "already back")
    try journal.append([NewEvent(kind: "refused")], answer: (id, outcome), lease: lease)
    #expect(try other.command(id)?.outcome == outcome)
    #expect(try other.openCommands().map(\.id) == [later])
    #expect(try other.command(77) == nil)
    #expect(throws: JournalError.alreadyAnswered(id)) {
      try journal.append([], answer: (id, outcome), lease: lease)
    }
  }

  @Test func `A command that is no JSON or has no kind is refused`() throws {
    #expect(throws: JournalError.self) {
      try journal.submit(NewCommand(kind: "a", arguments: "yes", user: "kim", host: "desk"))
    }
    #expect(throws: JournalError.self) {
      try journal.submit(NewCommand(kind: "", user: "kim", host: "desk"))
    }
  }

  @Test func `Facts are fixed once`() throws {
    #expect(try journal.fact("plan") == nil)
    try journal.setFact("plan", "abc", lease: lease)
    try journal.setFact("plan", "abc", lease: lease)
    #expect(throws: JournalError.factDiffers(key: "plan", stored: "abc", asked: "def")) {
      try journal.setFact("plan", "def", lease: lease)
    }
    #expect(try file.open(.readOnly).fact("plan") == "abc")
  }

  @Test func `The status is the last one published`() throws {
    #expect(try journal.latestStatus() == nil)
    try journal.publishStatus("{}", lease: lease)
    try journal.publishStatus(#"{"lag":3}"#, lease: lease)
    #expect(try file.open(.readOnly).latestStatus()?.json == #"{"lag":3}"#)
    #expect(try journal.verify() == file.open(.readOnly).verify())
  }
}
