import Foundation
import Testing

@testable import Plan

@Suite struct StageOrderTests {
  private static func plan(_ stages: [(name: String, after: String?)]) -> String {
    var text = PlanText().text
    let start = text.range(of: "stages:")!
    text = String(text[..<start.upperBound]) + "\n"
    for (index, stage) in stages.enumerated() {
      let after = stage.after.map { "after: \($0), " } ?? ""
      text +=
        "  - { stage: \(stage.name), \(after)topics: [\"orders\\\\.\(index)\"], fence: { exec: [f] }, switch: { exec: [s] } }\n"
    }
    return text
  }

  @Test func aStageWaitsForAllEarlierOnesUnlessItSaysOtherwise() throws {
    let plan = try MigrationPlan.parse(
      Self.plan([("a", nil), ("b", nil), ("c", "[]"), ("d", "[a]")]), file: "p.yaml")
    #expect(plan.stages.map(plan.predecessors) == [[], ["a"], [], ["a"]])
  }

  @Test(
    arguments: [
      ([("a", "[b]"), ("b", "[a]")], ["`a` and `b`", "`b` and `a`"]),
      // The second waits for the first, as it says nothing else.
      ([("a", "[b]"), ("b", nil)], ["`a` and `b`"]),
      ([("a", "[c]"), ("b", "[a]"), ("c", "[b]")], ["`a` and `c`", "`b` and `a`", "`c` and `b`"]),
    ] as [([(String, String?)], [String])])
  func stagesThatWaitForEachOtherAreRefused(stages: [(String, String?)], pairs: [String]) {
    let problems = PlanText.problems(of: Self.plan(stages))
    #expect(problems.count == pairs.count)
    for (problem, pair) in zip(problems, pairs) {
      #expect(problem.hasSuffix("stages \(pair) would wait for each other"))
    }
  }

  @Test func gatesOfOneKindAreNumbered() throws {
    let plan = try PlanText.with(
      \.stage,
      "{ stage: s, topics: [\"orders.*\"], fence: { exec: [f] }, switch: { exec: [s] }, gates: [{ exec: [x] }, { approvals: 1 }, { exec: [y] }] }"
    ).parsed()
    #expect(plan.stages[0].namedGates.map(\.name) == ["exec", "approvals", "exec#2"])
  }
}

@Suite struct ChangeWindowTests {
  private static let night = ChangeWindow(
    days: [.tue, .fri], from: 22 * 60, to: 4 * 60, zone: "Europe/Berlin")
  private static let office = ChangeWindow(
    days: [.mon, .wed], from: 9 * 60, to: 17 * 60, zone: "America/New_York")

  @Test(
    arguments: [
      // 2026-11-24 is a Tuesday; Berlin is one hour ahead of UTC in winter.
      (night, "2026-11-24T20:59:59Z", false), (night, "2026-11-24T21:00:00Z", true),
      (night, "2026-11-25T02:59:59Z", true), (night, "2026-11-25T03:00:00Z", false),
      // The night to Tuesday belongs to Monday.
      (night, "2026-11-24T01:00:00Z", false), (night, "2026-11-28T02:00:00Z", true),
      // Two hours ahead in summer.
      (night, "2026-07-21T19:59:59Z", false), (night, "2026-07-21T20:00:00Z", true),
      (office, "2026-11-25T13:59:59Z", false), (office, "2026-11-25T14:00:00Z", true),
      (office, "2026-11-25T22:00:00Z", false), (office, "2026-11-26T15:00:00Z", false),
    ])
  func itIsOpenInItsHoursOfItsZone(window: ChangeWindow, time: String, isOpen: Bool) throws {
    let date = try Date(time, strategy: .iso8601)
    #expect(window.look(at: date)?.isOpen == isOpen)
  }

  @Test func wholeDaysEndAtMidnight() throws {
    let day = ChangeWindow(days: [.sun], from: 0, to: 24 * 60, zone: "UTC")
    #expect(day.look(at: try Date("2026-11-22T23:59:59Z", strategy: .iso8601))?.isOpen == true)
    #expect(day.look(at: try Date("2026-11-23T00:00:00Z", strategy: .iso8601))?.isOpen == false)
  }

  @Test func aZoneThatThisHostDoesNotKnowIsNoPass() {
    #expect(ChangeWindow(days: [.sun], from: 0, to: 1, zone: "Mars/Crater").look(at: Date()) == nil)
  }
}
