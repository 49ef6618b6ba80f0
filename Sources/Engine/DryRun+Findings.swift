internal import Foundation
internal import Journal
internal import Kafka
internal import KafkaModel
internal import Plan

extension DryRun {
  /// What on the source falls between the plan's stages.
  static func findings(
    _ plan: MigrationPlan, _ estate: Estate, _ clusters: Clusters
  ) async throws -> [String] {
    var findings: [String] = []
    let moved = Dictionary(
      estate.topics.map { ($0.name, $0.stage) }, uniquingKeysWith: { first, _ in first })
    for topic in estate.topics {
      let fitting = plan.stages.filter { $0.topics.contains { $0.matches(topic.name) } }.map(\.name)
      if fitting.count > 1 {
        findings.append(
          "topic \(topic.name) fits stages \(fitting.joined(separator: " and ")): \(topic.stage) moves it"
        )
      }
    }
    let others = try await clusters.sourceAdmin.topics().map(\.name).filter {
      !$0.hasPrefix("__") && !$0.hasPrefix("ferry.") && plan.topicRule(for: $0) == nil
    }.sorted()
    if !others.isEmpty {
      let shown = others.prefix(10).joined(separator: ", ") + (others.count > 10 ? ", ..." : "")
      findings.append("\(others.count) topics of the source are not in the plan: \(shown)")
    }
    let staged = Set(estate.groups.values.joined())
    for group in try await clusters.sourceAdmin.groupNames() where !staged.contains(group) {
      let read = Set(try await clusters.sourceAdmin.committedOffsets(of: group).keys.map(\.topic))
      let taken = read.filter { moved[$0] != nil }.sorted()
      guard !taken.isEmpty else { continue }
      findings.append(
        "no stage moves group \(group), which reads \(taken.joined(separator: ", ")): it stays on the source"
      )
    }
    return findings
  }

  /// Gates that people have opened by force so far.
  static func waivers(_ plan: MigrationPlan, _ journalPath: String) throws -> [String] {
    guard FileManager.default.fileExists(atPath: journalPath) else { return [] }
    let journal = try MigrationJournal.open(at: journalPath, mode: .readOnly)
    let folded = try Folded(journal, strategies: plan.strategies)
    return plan.stages.flatMap { stage in
      folded.waivers(of: stage.name).map { "stage \(stage.name): \($0.summary)" }
    }
  }
}
