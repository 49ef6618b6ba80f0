internal import Journal
internal import Kafka
package import KafkaModel
internal import Logging
internal import Mirror
internal import Plan

/// Watches a stage's source topics while they are mirrored: that each is still the same topic, with as
/// many partitions.
///
/// librdkafka 2.0.2 tells no topic ids. A topic that was deleted and created again is known by its log
/// ending too early, which the mirror itself notices, or by another record standing where a mirrored one
/// stood a moment ago: that is what this looks for.
actor TopicSentry {
  /// What was found.
  enum Finding: Sendable {
    /// New partition counts by topic, which the plan lets be mirrored.
    case grown([String: Int32])
    case drift(EngineError)
  }

  /// A mirrored record.
  private struct Anchor {
    let partition: TopicPartition
    let offset: Offset
    let digest: RecordDigest
  }

  static let interval = Duration.seconds(10)

  private var reader: PartitionReader?
  private var anchors: [String: Anchor] = [:]
  private var missing: Set<String> = []

  /// Looks once. A cluster that does not answer is no finding.
  ///
  /// Throws: `JournalError`.
  func look(_ context: StageContext) async throws -> Finding? {
    do {
      if let found = try await lookAtCounts(context) { return found }
      return try await lookAtRecords(context)
    } catch let error as KafkaError {
      context.logger.notice("\(error.summary); looking again later")
      return nil
    }
  }

  private func lookAtCounts(_ context: StageContext) async throws -> Finding? {
    let counts = Dictionary(
      uniqueKeysWithValues: try await context.clusters.sourceAdmin.topics().map {
        ($0.name, $0.partitionCount)
      })
    var grown: [String: Int32] = [:]
    for topic in context.topics {
      guard let count = counts[topic.name] else {
        // Once may be a broker that just started.
        if !missing.insert(topic.name).inserted {
          return .drift(.topicDrift(topic: topic.name, what: "it is gone from the source"))
        }
        continue
      }
      missing.remove(topic.name)
      if count > topic.partitionCount, topic.rule.onNewPartitions == .mirror {
        grown[topic.name] = count
      } else if count != topic.partitionCount {
        return .drift(Self.drift(topic, count: count))
      }
    }
    return grown.isEmpty ? nil : .grown(grown)
  }

  static func drift(_ topic: PlannedTopic, count: Int32) -> EngineError {
    .topicDrift(
      topic: topic.name,
      what: "the source had \(topic.partitionCount) partitions when the run began, now \(count)")
  }

  private func lookAtRecords(_ context: StageContext) async throws -> Finding? {
    let store = try JournalMapStore(context.ledger)
    let reader = try self.reader ?? PartitionReader(context.clusters.source)
    self.reader = reader
    for topic in context.topics {
      if let anchor = anchors[topic.name], try await !Self.stands(anchor, reader) {
        try context.ledger.record(
          .recreated, stage: context.stage.name,
          RecreatedTopic(partition: anchor.partition, offset: anchor.offset))
        return .drift(context.ledger.recreated(topic.name) ?? .noTopics(stage: topic.stage))
      }
      if let rekey = topic.rekey {
        let found = try await Self.anchor(rekey, context, reader)
        anchors[topic.name] = found ?? anchors[topic.name]
        continue
      }
      for partition in topic.partitions where store.partitions[partition] != nil {
        let state = try await store.state(of: partition, .forward)
        guard let end = state.mapEnds[.source], let digest = state.lastDigest else { continue }
        anchors[topic.name] = Anchor(
          partition: partition, offset: Offset(end.rawValue - 1), digest: digest)
        break
      }
    }
    return nil
  }

  /// The last mirrored record of a rekeyed topic, as it stands there now: what is mirrored is not kept
  /// record by record.
  private static func anchor(
    _ topic: RekeyTopic, _ context: StageContext, _ reader: PartitionReader
  ) async throws -> Anchor? {
    guard let cut = try context.ledger.journal.lastRekeyCut(of: topic.source) else { return nil }
    for (partition, end) in zip(topic.partitions(on: .source), cut.source) where end > Offset(0) {
      let last = Offset(end.rawValue - 1)
      do {
        let found = try await reader.digests(
          of: partition, from: last, limit: 1, before: end, silence: .seconds(10))
        guard let digest = found.first?.digest else { continue }
        return Anchor(partition: partition, offset: last, digest: digest)
      } catch {
        guard error.isOffsetOutOfRange else { throw error }
      }
    }
    return nil
  }

  /// Whether the record is still there; one that retention or compaction took says nothing.
  private static func stands(_ anchor: Anchor, _ reader: PartitionReader) async throws -> Bool {
    do {
      let found = try await reader.digests(
        of: anchor.partition, from: anchor.offset, limit: 1, before: anchor.offset + 1,
        silence: .seconds(10))
      return found.first.map { $0.digest == anchor.digest } ?? true
    } catch {
      guard error.isOffsetOutOfRange else { throw error }
      return true
    }
  }
}

/// A topic that was deleted and created again while it was mirrored, as journalled: its map is no longer
/// to be trusted.
package struct RecreatedTopic: Codable, Sendable, Hashable {
  package let partition: TopicPartition
  /// Where another record stands than the one that was mirrored.
  package let offset: Offset

  var drift: EngineError {
    .topicDrift(
      topic: partition.topic,
      what:
        "\(partition) holds another record at offset \(offset) than the one that was mirrored: the topic was deleted and created again, and records of both may stand on the target"
    )
  }
}

/// A source topic's new partition count, as journalled.
package struct TopicGrowth: Codable, Sendable, Hashable {
  package let topic: String
  package let partitions: Int32
}
