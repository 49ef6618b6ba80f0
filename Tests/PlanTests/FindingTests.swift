import Testing

@testable import Plan

@Suite struct FindingTests {
  /// `line severity code`.
  private func findings(_ plan: PlanText) throws -> [String] {
    try plan.parsed().findings.map { "\($0.location.line) \($0.severity) \($0.code)" }
  }

  @Test func aBarePlanIsRemarkedOn() throws {
    #expect(
      try findings(PlanText()) == [
        "9 note no-failure-mode", "9 warning no-pause-or-resume", "9 note no-verify",
        "13 warning no-approvals", "13 note no-unfence",
      ])
  }

  @Test func aPlanWithNothingToRemarkIsLeftInPeace() throws {
    #expect(try findings(Self.full) == [])
  }

  private static let full: PlanText = {
    var plan = PlanText()
    plan.group =
      "{ name: billing, owner: t, pause: { exec: [p] }, resume: { exec: [r] }, "
      + "verify: { lagBelow: 1 }, failureMode: f }"
    plan.stage.replace(
      "switch:", with: "unfence: { exec: [u] }, gates: [{ approvals: 1 }], switch:")
    return plan
  }()

  @Test(
    arguments: [
      ("fence: { exec: [f] }", "fence: { manual: stop }", ["13 warning manual-fence"]),
      ("{ approvals: 1 }", "{ lagBelow: 0 }", ["13 warning no-approvals"]),
      ("resume: { exec: [r] }, ", "", ["9 warning no-pause-or-resume"]),
      ("verify: { lagBelow: 1 }, ", "", ["9 note no-verify"]),
      (", failureMode: f", "", ["9 note no-failure-mode"]),
      ("unfence: { exec: [u] }, ", "", ["13 note no-unfence"]),
      ("owner: t }", "owner: t, rename: all }", ["7 warning rename-collides"]),
      ("owner: t }", "owner: t }\n  - { name: orders.a, owner: t }", ["8 warning shadowed-rule"]),
      ("owner: t }", "owner: t }\n  - { name: payments, owner: t }", ["8 warning not-in-a-stage"]),
      ("groups: [billing]", "groups: []", ["9 warning not-in-a-stage"]),
    ])
  func eachRemarkHasAPlaceAndACode(old: String, new: String, expected: [String]) throws {
    var text = Self.full.text
    text.replace(old, with: new, maxReplacements: 1)
    let findings = try MigrationPlan.parse(text, file: "p.yaml").findings
    #expect(findings.map { "\($0.location.line) \($0.severity) \($0.code)" } == expected)
  }
}
