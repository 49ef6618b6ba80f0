@testable import Plan

/// A small valid plan whose parts a test replaces.
struct PlanText {
  var head = "ferry: v1\nmigration: m"
  var source = "{ bootstrap: [a:9092] }"
  var target = "{ bootstrap: [b:9092] }"
  var topic = "{ match: \"orders.*\", owner: t }"
  var group = "{ name: billing, owner: t, engine: consumer }"
  var mirror = "{}"
  var validate = "{}"
  var stage =
    "{ stage: s, topics: [\"orders.*\"], groups: [billing], "
    + "fence: { exec: [f] }, switch: { exec: [s] } }"

  /// The lines on which the parts stand: 4, 5, 7, 9, 10, 11 and 13.
  var text: String {
    """
    \(head)
    clusters:
      source: \(source)
      target: \(target)
    topics:
      - \(topic)
    groups:
      - \(group)
    mirror: \(mirror)
    validate: \(validate)
    stages:
      - \(stage)
    """
  }

  func parsed() throws(PlanError) -> MigrationPlan {
    try MigrationPlan.parse(text, file: "p.yaml")
  }

  /// What is wrong with the plan: `line:column: message`.
  var problems: [String] { Self.problems(of: text) }

  static func problems(of text: String) -> [String] {
    do {
      _ = try MigrationPlan.parse(text, file: "p.yaml")
      return []
    } catch .invalid(let problems) {
      return problems.map { $0.description.replacing("p.yaml:", with: "", maxReplacements: 1) }
    } catch {
      return ["\(error)"]
    }
  }

  /// A plan with one part replaced.
  static func with(_ part: WritableKeyPath<PlanText, String>, _ text: String) -> PlanText {
    var plan = PlanText()
    plan[keyPath: part] = text
    return plan
  }
}
