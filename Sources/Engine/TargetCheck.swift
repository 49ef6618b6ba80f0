internal import Kafka
internal import KafkaModel

/// Compares target topics with what is planned for them. The dry run and the run ask the same question.
struct TargetCheck {
  /// The target's topics, by name, at the moment of the look.
  private let found: [String: TopicDescription]
  private let configs: [String: [String: ConfigValue]]
  private let ends: [TopicPartition: Offset]

  /// Looks at `topics` on the target, all at once.
  ///
  /// - Parameter mayHoldRecords: whether Ferry itself may have filled a topic before.
  static func look(
    at topics: [PlannedTopic], on clusters: Clusters,
    mayHoldRecords: (PlannedTopic) -> Bool
  ) async throws -> TargetCheck {
    let admin = clusters.targetAdmin
    let found = Dictionary(
      uniqueKeysWithValues: try await admin.topics().map { ($0.name, $0) })
    let there = topics.filter { found[$0.targetName] != nil }
    var configs: [String: [String: ConfigValue]] = [:]
    for start in stride(from: 0, to: there.count, by: Self.together) {
      let some = there[start..<min(start + Self.together, there.count)].map(\.targetName)
      configs.merge(try await admin.configs(of: some)) { _, new in new }
    }
    let empty = there.filter { !mayHoldRecords($0) }.flatMap { topic in
      (0..<(found[topic.targetName]?.partitionCount ?? 0)).map {
        TopicPartition(topic.targetName, $0)
      }
    }
    let ends = try await clusters.targetLogs.offsets(.end, of: empty)
    return TargetCheck(found: found, configs: configs, ends: ends)
  }

  /// Topics that one request is about, at most.
  static let together = 100

  func isThere(_ topic: PlannedTopic) -> Bool { found[topic.targetName] != nil }

  /// What stands in the way of using the target topic; `nil` where nothing does, or where it is yet to
  /// be created. Effective configs are compared, not overrides.
  func drift(of topic: PlannedTopic) -> EngineError? {
    guard let found = found[topic.targetName] else { return nil }
    guard found.partitionCount == topic.targetPartitionCount else {
      return .topicDrift(
        topic: topic.targetName,
        what: "it has \(found.partitionCount) partitions, planned are \(topic.targetPartitionCount)"
      )
    }
    let effective = configs[topic.targetName] ?? [:]
    for (name, value) in topic.config.sorted(by: { $0.key < $1.key }) {
      guard let actual = effective[name]?.value, actual != value else { continue }
      return .topicDrift(
        topic: topic.targetName, what: "its \(name) is \(actual), planned is \(value)")
    }
    for partition in (0..<found.partitionCount).map({ TopicPartition(topic.targetName, $0) }) {
      if let end = ends[partition], end > Offset(0) { return .targetNotEmpty(partition, end: end) }
    }
    return nil
  }
}
