internal import Foundation
package import KafkaModel

/// A migration as its lead declares it: what moves, who owns it, how it is stopped and started, and what
/// must hold before it does.
package struct MigrationPlan: Sendable {
  /// The plan's meaning, apart from where it was read from.
  var body: Body
  /// As it was given to Ferry.
  package let file: String
  /// Absolute; hooks run here and relative `file:` references start here.
  package let directory: String
  /// Remarks for `ferry check`.
  package let findings: [Finding]

  struct Body: Hashable, Sendable, Encodable {
    var name = ""
    var change: String?
    var source = ClusterPlan(bootstrap: [], client: [:])
    var target = ClusterPlan(bootstrap: [], client: [:])
    var topics: [TopicRule] = []
    var groups: [GroupRule] = []
    var mirror = MirrorPlan()
    var validate = ValidatePlan()
    var stages: [StagePlan] = []
  }

  /// Up to 200 letters, digits, dots, dashes and underscores.
  package var name: String { body.name }
  /// The change request, shown in every report.
  package var change: String? { body.change }
  /// In the order of the plan: the first rule that fits a topic is the one that counts.
  package var topics: [TopicRule] { body.topics }
  /// In the order of the plan, as ``topics``.
  package var groups: [GroupRule] { body.groups }
  /// Speed and width of the copy.
  package var mirror: MirrorPlan { body.mirror }
  /// Speed of the comparison.
  package var validate: ValidatePlan { body.validate }
  /// In the order in which they are run.
  package var stages: [StagePlan] { body.stages }

  /// How to reach the cluster of that role.
  package func cluster(_ role: ClusterRole) -> ClusterPlan {
    role == .source ? body.source : body.target
  }

  /// Topics whose names begin with `__` are Kafka's own and are never moved.
  private static func isInternal(_ topic: String) -> Bool { topic.hasPrefix("__") }

  /// The first rule that means `topic`; none means Kafka's own.
  package func topicRule(for topic: String) -> TopicRule? {
    guard !Self.isInternal(topic) else { return nil }
    return topics.first { $0.selector.matches(topic) }
  }

  /// The first rule that means `group`.
  package func groupRule(for group: String) -> GroupRule? {
    groups.first { $0.selector.matches(group) }
  }

  /// The first stage that moves `topic`; none moves Kafka's own.
  package func stage(forTopic topic: String) -> StagePlan? {
    guard !Self.isInternal(topic) else { return nil }
    return stages.first { $0.topics.contains { $0.matches(topic) } }
  }

  /// The first stage that moves `group`.
  package func stage(forGroup group: String) -> StagePlan? {
    stages.first { $0.groups.contains { $0.matches(group) } }
  }

  /// Names are unique.
  package func stage(named name: String) -> StagePlan? { stages.first { $0.name == name } }

  /// By stage.
  package var strategies: [String: Strategy] {
    Dictionary(stages.map { ($0.name, $0.strategy) }) { first, _ in first }
  }

  /// Reads and checks a plan file.
  ///
  /// Throws: ``PlanError``.
  package static func load(path: String) throws(PlanError) -> MigrationPlan {
    let text: String
    do {
      text = try String(contentsOf: URL(fileURLWithPath: path), encoding: .utf8)
    } catch {
      let exists = FileManager.default.fileExists(atPath: path)
      throw .unreadable(
        path: path, reason: exists ? "it cannot be read as UTF-8 text" : "no such file")
    }
    return try parse(text, file: path)
  }

  /// Checks a plan's text. `file` stands in error messages and tells the directory.
  ///
  /// Throws: ``PlanError/invalid(_:)`` with all problems found.
  package static func parse(_ yaml: String, file: String) throws(PlanError) -> MigrationPlan {
    let parser = PlanParser(file: file)
    let body = parser.parse(yaml)
    guard parser.problems.isEmpty, let body else {
      throw .invalid(
        parser.problems.sorted {
          ($0.location.line, $0.location.column) < ($1.location.line, $1.location.column)
        })
    }
    return MigrationPlan(
      body: body, file: file,
      directory: URL(fileURLWithPath: file).deletingLastPathComponent().standardizedFileURL.path,
      findings: Finding.lint(body))
  }
}
