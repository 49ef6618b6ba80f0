import Testing

@testable import Plan

/// Every key of every mapping, written wrongly, twice, and without a value.
@Suite struct KeyTests {
  /// A kind of mapping: its name in messages, its keys, and a plan in which `X` stands among them.
  struct Mapping: Sendable {
    let name: String
    let keys: [String]
    let plan: PlanText

    init(
      _ name: String, _ keys: [String], _ part: WritableKeyPath<PlanText, String>, _ text: String
    ) {
      self.name = name
      self.keys = keys
      plan = .with(part, text)
    }
  }

  private static func stage(_ text: String) -> String {
    "{ stage: s, topics: [\"orders.*\"], fence: { exec: [f] }, switch: { exec: [s] }, \(text) }"
  }

  static let mappings = [
    Mapping(
      "a plan",
      [
        "ferry", "migration", "change", "clusters", "topics", "groups", "mirror", "validate",
        "stages",
      ], \.head, "ferry: v1\nmigration: m\nX"),
    Mapping("`source`", ["bootstrap", "client"], \.source, "{ bootstrap: [a:1], X }"),
    Mapping("`target`", ["bootstrap", "client"], \.target, "{ bootstrap: [b:1], X }"),
    Mapping(
      "a topic rule",
      [
        "name", "match", "owner", "rename", "partitions", "replication", "config", "start", "order",
        "priority", "onGap", "onNewPartitions",
      ], \.topic, "{ match: \"orders.*\", owner: t, X }"),
    Mapping(
      "a group rule",
      [
        "name", "match", "owner", "engine", "missingCommit", "pause", "resume", "verify",
        "failureMode",
      ], \.group, "{ name: billing, owner: t, X }"),
    Mapping(
      "`verify`", ["lagBelow", "within"], \.group,
      "{ name: billing, owner: t, verify: { lagBelow: 1, X } }"),
    Mapping(
      "`pause`", ["exec", "http", "manual", "timeout"], \.group,
      "{ name: billing, owner: t, pause: { exec: [x], X } }"),
    Mapping(
      "`http`", ["get", "post", "put", "patch", "delete", "expect", "body"], \.group,
      "{ name: billing, owner: t, pause: { http: { post: \"http://x\", X } } }"),
    Mapping("`mirror`", ["rate", "tailRate", "lanes", "memory"], \.mirror, "{ X }"),
    Mapping("`validate`", ["mode", "rate"], \.validate, "{ X }"),
    Mapping(
      "a stage",
      [
        "stage", "topics", "groups", "strategy", "after", "fence", "unfence", "stability", "gates",
        "switch", "soak", "rollbackOn", "strays", "extendRetention",
      ], \.stage, stage("X")),
    Mapping(
      "a gate",
      [
        "lagBelow", "drainWithin", "approvals", "validated", "window", "exec", "http", "manual",
        "for", "timeout",
      ], \.stage,
      stage("gates: [{ lagBelow: 1, X }]")),
    Mapping(
      "`window`", ["days", "from", "to", "zone"], \.stage,
      stage("gates: [{ window: { zone: UTC, X } }]")),
    Mapping(
      "a rollback trigger", ["groupLagAbove", "for", "grace"], \.stage,
      stage("rollbackOn: [{ groupLagAbove: 1, X }]")),
  ]

  private static func problems(_ mapping: Mapping, _ text: String) -> [String] {
    PlanText.problems(of: mapping.plan.text.replacing("X", with: text))
  }

  /// Two swapped letters, one letter lost, one doubled, and capitals.
  private static func misspellings(of key: String) -> [String] {
    let letters = Array(key)
    let swapped = letters.dropLast(2) + [letters[letters.count - 1], letters[letters.count - 2]]
    return [
      String(swapped), String(letters.dropLast()), key + String(letters.last!), key.uppercased(),
    ].filter { $0 != key }
  }

  @Test(arguments: mappings)
  func aMisspeltKeyIsRefusedAndTheRightOneSuggested(mapping: Mapping) {
    for key in mapping.keys {
      for wrong in Self.misspellings(of: key) where !mapping.keys.contains(wrong) {
        let problems = Self.problems(mapping, "\(wrong): 1")
        let expected = "\(mapping.name) has no key `\(wrong)`; did you mean `\(key)`?"
        #expect(problems.count == 1 && problems.first?.hasSuffix(expected) == true, "\(problems)")
      }
    }
  }

  @Test(arguments: mappings)
  func theKeysAreListedWhereNoneIsNear(mapping: Mapping) {
    let keys = mapping.keys.joined(separator: ", ")
    let problems = Self.problems(mapping, "quux42: 1")
    #expect(problems.count == 1)
    #expect(
      problems.first?.hasSuffix("\(mapping.name) has no key `quux42`; known are \(keys)") == true)
  }

  @Test(arguments: mappings)
  func aKeyMayStandOnlyOnce(mapping: Mapping) {
    for key in mapping.keys {
      let separator = mapping.name == "a plan" ? "\n" : ", "
      let problems = Self.problems(mapping, "\(key): 1\(separator)\(key): 1")
      let expected = "the mapping has `\(key)` twice; the first one stands here"
      #expect(problems.count == 1 && problems.first?.hasSuffix(expected) == true, "\(problems)")
    }
  }

  @Test(arguments: mappings)
  func aKeyWithoutAValueIsAProblem(mapping: Mapping) {
    for key in mapping.keys {
      let problems = Self.problems(mapping, "\(key): ~")
      #expect(
        problems.contains { $0.hasSuffix("`\(key)` has no value") || $0.contains("twice") },
        "\(key): \(problems)")
    }
  }
}
