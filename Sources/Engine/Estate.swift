package import Kafka
package import KafkaModel
package import Plan

/// One topic that a plan moves, as found on the source.
package struct PlannedTopic: Sendable {
  package let name: String
  package let targetName: String
  package var partitionCount: Int32
  package var targetPartitionCount: Int32
  package let stage: String
  package let rule: TopicRule
  /// Configs that the target topic gets: the source's overrides, what it takes and keeps, and the plan's
  /// own.
  package let config: [String: String]
  package let isCompacted: Bool
  /// How long the source keeps records; `nil` where their age or number does not matter.
  package let sourceRetention: SourceRetention?

  package var partitions: [TopicPartition] { (0..<partitionCount).map { TopicPartition(name, $0) } }

  package func target(of partition: TopicPartition) -> TopicPartition {
    TopicPartition(targetName, partition.partition)
  }
}

/// When the source drops a topic's records.
package struct SourceRetention: Sendable, Hashable {
  /// Milliseconds since a record's timestamp.
  package let milliseconds: Int64?
  /// Bytes of a partition's log.
  package let bytes: Int64?

  /// - Parameter configs: the topic's effective ones.
  init?(_ configs: [String: ConfigValue]) {
    func limit(_ name: String) -> Int64? {
      configs[name]?.value.flatMap { Int64($0) }.flatMap { $0 < 0 ? nil : $0 }
    }
    milliseconds = limit("retention.ms")
    bytes = limit("retention.bytes")
    // Compaction alone keeps the latest record of every key for ever.
    let isDeleting = configs["cleanup.policy"]?.value?.contains("delete") ?? true
    guard isDeleting, milliseconds != nil || bytes != nil else { return nil }
  }
}

/// What a plan means on the clusters as they are: which topics and groups each stage moves.
package struct Estate: Sendable {
  package let topics: [PlannedTopic]
  /// Group names by stage.
  package let groups: [String: [String]]
  /// Things a reviewer should know.
  package let findings: [String]

  package func topics(of stage: String) -> [PlannedTopic] { topics.filter { $0.stage == stage } }

  /// Looks at the source.
  ///
  /// Throws: ``EngineError``, ``KafkaError``.
  package static func survey(_ plan: MigrationPlan, source: Admin) async throws -> Estate {
    var topics: [PlannedTopic] = []
    var findings: [String] = []
    for description in try await source.topics() where !description.name.hasPrefix("__") {
      guard let rule = plan.topicRule(for: description.name) else { continue }
      guard let stage = plan.stage(forTopic: description.name) else {
        findings.append("topic \(description.name) is in the plan but in no stage: it is not moved")
        continue
      }
      let topic = try await plannedTopic(
        description, rule: rule, stage: stage.name, source: source)
      try checkRekey(topic, stage)
      topics.append(topic)
    }
    for stage in plan.stages where !topics.contains(where: { $0.stage == stage.name }) {
      throw EngineError.noTopics(stage: stage.name)
    }
    for (target, same) in Dictionary(grouping: topics, by: \.targetName) where same.count > 1 {
      throw EngineError.topicDrift(
        topic: target,
        what: "topics \(same.map(\.name).joined(separator: ", ")) would all be copied into it")
    }
    var groups: [String: [String]] = [:]
    for group in try await source.groupNames() where plan.groupRule(for: group) != nil {
      if let stage = plan.stage(forGroup: group) {
        groups[stage.name, default: []].append(group)
      } else {
        findings.append("group \(group) is in the plan but in no stage: it is not moved")
      }
    }
    return Estate(topics: topics, groups: groups, findings: findings.sorted())
  }

  private static func plannedTopic(
    _ description: TopicDescription, rule: TopicRule, stage: String, source: Admin
  ) async throws -> PlannedTopic {
    let configs = try await source.configs(of: description.name)
    if configs["message.timestamp.type"]?.value == "LogAppendTime",
      rule.config["message.timestamp.type"] == nil
    {
      throw EngineError.logAppendTime(topic: description.name)
    }
    var config = configs.filter {
      ($0.value.isOverride || retaining.contains($0.key)) && !unmirrored.contains($0.key)
    }.compactMapValues(\.value)
    config.merge(rule.config) { _, planned in planned }
    let targetCount: Int32 =
      switch rule.partitions {
      case .same: description.partitionCount
      case .count(let count): Int32(count)
      }
    guard targetCount >= description.partitionCount else {
      throw EngineError.topicDrift(
        topic: description.name,
        what:
          "the source has \(description.partitionCount) partitions, the plan only \(targetCount)")
    }
    return PlannedTopic(
      name: description.name, targetName: rule.targetName(for: description.name),
      partitionCount: description.partitionCount, targetPartitionCount: targetCount, stage: stage,
      rule: rule, config: config,
      isCompacted: configs.areOfCompactedTopic,
      sourceRetention: SourceRetention(configs))
  }

  /// What decides which records a topic takes and keeps. The effective value is carried over even where
  /// it is a default of the source's brokers: the target's brokers may have others.
  private static let retaining: Set<String> = [
    "cleanup.policy", "delete.retention.ms", "max.message.bytes", "retention.bytes", "retention.ms",
  ]

  /// Overrides that name brokers of the source cluster.
  private static let unmirrored: Set<String> = [
    "leader.replication.throttled.replicas", "follower.replication.throttled.replicas",
  ]
}
