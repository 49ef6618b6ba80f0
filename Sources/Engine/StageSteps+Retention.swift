internal import Cutover
internal import Kafka
internal import KafkaModel
internal import Plan

/// The source has to keep its records for as long as clients may come back to them.
extension StageSteps {
  private static let settings = ["retention.ms", "retention.bytes"]

  /// Lets the source topics keep everything, where the plan wants it.
  ///
  /// Returns: notes for the journal.
  func extendRetention() async throws -> [String] {
    guard context.stage.extendRetention else { return [] }
    let admin = context.clusters.sourceAdmin
    let stage = context.stage.name
    var saved = context.ledger.savedRetention(stage)
    if saved.isEmpty {
      for topic in context.topics where topic.sourceRetention != nil {
        let configs = try await context.steadily { try await admin.configs(of: topic.name) }
        saved[topic.name] = Dictionary(
          uniqueKeysWithValues: Self.settings.map { name in
            let value = configs[name]
            return (name, value?.isOverride == true ? value?.value : nil)
          })
      }
      guard !saved.isEmpty else { return [] }
      try context.ledger.record(.retention, stage: stage, SavedRetention(topics: saved))
    }
    await context.during("saved")
    let unlimited = Dictionary(uniqueKeysWithValues: Self.settings.map { ($0, "-1") })
    for topic in saved.keys.sorted() { try await set(unlimited, removing: [], of: topic) }
    return ["\(saved.count) source topics keep all records until the stage is finalized or back"]
  }

  /// Gives the source topics the retention that they had.
  func restoreRetention() async throws -> [String] {
    let saved = context.ledger.savedRetention(context.stage.name)
    for (topic, overrides) in saved.sorted(by: { $0.key < $1.key }) {
      let removing = overrides.filter { $0.value == nil }.keys
      try await set(overrides.compactMapValues(\.self), removing: Set(removing), of: topic)
    }
    await context.during("restored")
    guard !saved.isEmpty else { return [] }
    try context.ledger.record(
      .retention, stage: context.stage.name, SavedRetention(topics: [:]))
    return ["\(saved.count) source topics have the retention that they had before"]
  }

  /// Sets overrides and sees them.
  private func set(
    _ overrides: [String: String], removing: Set<String>, of topic: String
  ) async throws {
    let admin = context.clusters.sourceAdmin
    try await context.steadily {
      try await admin.setConfigs(overrides, removing: removing, of: topic)
    }
    try await wait(.seconds(20)) {
      let now = try await context.steadily { try await admin.configs(of: topic) }
      return overrides.allSatisfy { now[$0.key]?.value == $0.value }
        && removing.allSatisfy { now[$0]?.isOverride != true }
    } onTimeout: {
      KafkaError.timedOut("see the configs of \(topic) changed", cluster: "source")
    }
  }
}
