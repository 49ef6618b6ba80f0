internal import Cutover
internal import Journal
internal import Kafka
internal import KafkaModel
internal import Plan

extension StageSteps {
  /// Takes partitions in that a source topic has got while it was mirrored: sees that the target has
  /// them, empty, and arms them at the beginning of their logs. Each part may be done again after a crash.
  ///
  /// Throws: `EngineError` - the target cannot take them; `KafkaError`, `JournalError`.
  func adopt(_ topic: PlannedTopic, count: Int32) async throws {
    let new = (topic.partitionCount..<count).map { TopicPartition(topic.name, $0) }
    let targets = new.map { topic.target(of: $0) }
    try await growTarget(topic, count: count)
    let logs = context.clusters.targetLogs
    var ends: [TopicPartition: Offset] = [:]
    try await wait(.seconds(20)) {
      do {
        ends = try await logs.offsets(.end, of: targets)
        return true
      } catch let error as KafkaError where error.isUnknownTopic || error.isRetriable {
        return false
      }
    } onTimeout: {
      KafkaError.timedOut("see the new partitions of \(topic.targetName)", cluster: "target")
    }
    for (target, end) in ends.sorted(by: { $0.key < $1.key }) where end > Offset(0) {
      throw EngineError.targetNotEmpty(target, end: end)
    }
    for partition in new {
      _ = try context.ledger.journal.registerPartition(
        source: partition, target: topic.target(of: partition), lease: context.ledger.lease)
    }
    if let armed = armed(.forward) {
      let starts = Dictionary(uniqueKeysWithValues: new.map { ($0, Offset(0)) })
      try context.ledger.record(
        .armed, stage: context.stage.name,
        Armed(
          direction: .forward, attempt: context.machine.attempt,
          bases: armed.bases.merging(starts) { _, new in new },
          positions: armed.positions.merging(starts) { _, new in new }))
    }
    try context.ledger.record(
      .growth, stage: context.stage.name, TopicGrowth(topic: topic.name, partitions: count))
    context.grow(topic.name, to: count)
  }

  private func growTarget(_ topic: PlannedTopic, count: Int32) async throws {
    let admin = context.clusters.targetAdmin
    func found() async throws -> Int32 {
      try await context.steadily {
        try await admin.topics(named: topic.targetName).first?.partitionCount ?? 0
      }
    }
    guard try await found() < count else { return }
    if case .count(let planned) = topic.rule.partitions {
      throw EngineError.topicDrift(
        topic: topic.name,
        what: "the source has \(count) partitions now, the plan gives the target only \(planned)")
    }
    try await context.steadily {
      try await admin.createPartitions(topic.targetName, total: Int(count))
    }
    try await wait(.seconds(20)) {
      try await found() >= count
    } onTimeout: {
      KafkaError.timedOut("give topic \(topic.targetName) \(count) partitions", cluster: "target")
    }
  }

  /// No source topic has got more partitions than are mirrored: what producers wrote there would stay
  /// behind.
  func checkPartitionCounts() async throws {
    let admin = context.clusters.sourceAdmin
    let found = try await context.steadily { try await admin.topics() }
    for topic in context.topics {
      guard let now = found.first(where: { $0.name == topic.name }),
        now.partitionCount != topic.partitionCount
      else { continue }
      throw TopicSentry.drift(topic, count: now.partitionCount)
    }
  }
}
