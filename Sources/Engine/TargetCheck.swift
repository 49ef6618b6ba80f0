internal import Kafka
internal import KafkaModel

/// Compares a target topic with what is planned for it. The dry run and the run ask the same question.
enum TargetCheck {
  static func isThere(_ topic: PlannedTopic, on clusters: Clusters) async throws -> Bool {
    do {
      return try await clusters.targetAdmin.topics(named: topic.targetName).first != nil
    } catch {
      guard error.isUnknownTopic else { throw error }
      return false
    }
  }

  /// What stands in the way of using the target topic; `nil` where nothing does, or where it is yet to
  /// be created. Effective configs are compared, not overrides.
  ///
  /// - Parameter mayHoldRecords: whether Ferry itself may have filled it before.
  static func drift(
    of topic: PlannedTopic, on clusters: Clusters, mayHoldRecords: Bool
  ) async throws -> EngineError? {
    guard try await isThere(topic, on: clusters),
      let found = try await clusters.targetAdmin.topics(named: topic.targetName).first
    else { return nil }
    guard found.partitionCount == topic.targetPartitionCount else {
      return .topicDrift(
        topic: topic.targetName,
        what: "it has \(found.partitionCount) partitions, planned are \(topic.targetPartitionCount)"
      )
    }
    let effective = try await clusters.targetAdmin.configs(of: topic.targetName)
    for (name, value) in topic.config.sorted(by: { $0.key < $1.key }) {
      guard let actual = effective[name]?.value, actual != value else { continue }
      return .topicDrift(
        topic: topic.targetName, what: "its \(name) is \(actual), planned is \(value)")
    }
    if mayHoldRecords { return nil }
    let partitions = (0..<topic.targetPartitionCount).map { TopicPartition(topic.targetName, $0) }
    let ends = try await clusters.targetLogs.offsets(.end, of: partitions)
    for (partition, end) in ends.sorted(by: { $0.key < $1.key }) where end > Offset(0) {
      return .targetNotEmpty(partition, end: end)
    }
    return nil
  }
}
