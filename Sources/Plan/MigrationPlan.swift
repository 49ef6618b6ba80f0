internal import Crypto
internal import Foundation
package import KafkaModel

/// A migration as its lead declares it: what moves, who owns it, how it is stopped and started, and what
/// must hold before it does.
package struct MigrationPlan: Sendable {
  /// The plan's meaning, apart from where it was read from.
  var body: Body
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

  package var name: String { body.name }
  /// The change request, shown in every report.
  package var change: String? { body.change }
  package var topics: [TopicRule] { body.topics }
  package var groups: [GroupRule] { body.groups }
  package var mirror: MirrorPlan { body.mirror }
  package var validate: ValidatePlan { body.validate }
  package var stages: [StagePlan] { body.stages }

  package func cluster(_ role: ClusterRole) -> ClusterPlan {
    role == .source ? body.source : body.target
  }

  /// The first rule that means `topic`.
  package func topicRule(for topic: String) -> TopicRule? {
    topics.first { $0.selector.matches(topic) }
  }

  /// The first rule that means `group`.
  package func groupRule(for group: String) -> GroupRule? {
    groups.first { $0.selector.matches(group) }
  }

  package func stage(forTopic topic: String) -> StagePlan? {
    stages.first { $0.topics.contains { $0.matches(topic) } }
  }

  package func stage(forGroup group: String) -> StagePlan? {
    stages.first { $0.groups.contains { $0.matches(group) } }
  }

  package func stage(named name: String) -> StagePlan? { stages.first { $0.name == name } }

  /// `sha256:` and 64 hexadecimal digits over the plan's meaning: key order, comments and the spelling
  /// of equal values do not matter; every other change does. Secrets enter as references.
  package var digest: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Encoding plain values cannot fail.
    let canonical = (try? encoder.encode(body)) ?? Data()
    return "sha256:"
      + SHA256.hash(data: canonical).map { byte in
        let digits = String(byte, radix: 16)
        return digits.count == 1 ? "0" + digits : digits
      }.joined()
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
