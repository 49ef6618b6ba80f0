internal import Journal
internal import KafkaModel
internal import Mirror
internal import Offsets
internal import Plan

extension PlannedTopic {
  /// What a mirror has to know of a topic that is rekeyed; `nil` of another.
  var rekey: RekeyTopic? {
    guard rule.isRekeyed else { return nil }
    return RekeyTopic(
      source: name, target: targetName, sourceCount: Int(partitionCount),
      targetCount: Int(targetPartitionCount))
  }

  /// The partitions in which a cluster holds what is mirrored, under the topic's name on the source. Only
  /// where it is rekeyed does the target have others than the source.
  func keys(on role: ClusterRole) -> [TopicPartition] { rekey?.keys(on: role) ?? partitions }
}

extension StageContext {
  var rekeyedTopics: [RekeyTopic] { topics.compactMap(\.rekey) }

  /// Source names of the partitions of topics that are not rekeyed.
  var ordinaryPartitions: [TopicPartition] {
    topics.filter { $0.rekey == nil }.flatMap(\.partitions)
  }

  /// Everything translation needs to know of the stage's rekeyed topics.
  func rekeyTranslations() throws -> [RekeyTranslation] {
    try rekeyedTopics.map { topic in
      RekeyTranslation(
        source: topic.source, target: topic.target,
        cuts: try ledger.journal.rekeyCuts(of: topic.source))
    }
  }
}

extension Estate {
  /// What `order: rekey` cannot be had with.
  ///
  /// Throws: ``EngineError/cannotRekey(topic:place:why:)``.
  static func checkRekey(_ topic: PlannedTopic, _ stage: StagePlan) throws(EngineError) {
    guard topic.rule.isRekeyed else { return }
    func refuse(_ why: String) -> EngineError {
      .cannotRekey(topic: topic.name, place: topic.rule.location.description, why: why)
    }
    if topic.isCompacted || topic.config["cleanup.policy"]?.contains("compact") == true {
      throw refuse("it is compacted, so a round could not be told again after a crash")
    }
    if topic.targetPartitionCount == topic.partitionCount {
      throw refuse("source and target would have \(topic.partitionCount) partitions both")
    }
    if stage.strategy != .together {
      throw refuse(
        "groups of stage \(stage.name) move before their producers, which takes offsets that correspond one to one: use `strategy: together`"
      )
    }
    if stage.strays == .forward {
      throw refuse(
        "`strays: forward` of stage \(stage.name) takes offsets that correspond one to one: leave it out"
      )
    }
  }
}
