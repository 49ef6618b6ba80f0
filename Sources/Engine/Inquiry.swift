internal import Journal
package import Kafka
package import KafkaModel
package import Logging
internal import Offsets
package import Plan
package import Validation

/// Questions about a migration that change nothing.
package struct Inquiry: Sendable {
  private let plan: MigrationPlan
  private let journal: MigrationJournal
  private let clusters: Clusters

  /// Throws: `JournalError`, `PlanError`, `KafkaError`.
  package init(_ plan: MigrationPlan, journalPath: String, logger: Logger) throws {
    self.plan = plan
    journal = try MigrationJournal.open(at: journalPath, mode: .readOnly)
    clusters = try Clusters(plan, logger: logger)
  }

  /// Compares everything mirrored so far, on both sides, through the offset map.
  package func validate(onProgress: @escaping @Sendable (Int64) -> Void) async throws -> [Verdict] {
    let comparator = try Comparator(
      source: clusters.source, target: clusters.target,
      budget: ReadBudget(bytesPerSecond: plan.validate.bytesPerSecond))
    let folded = try Folded(journal, strategies: plan.strategies)
    var verdicts: [Verdict] = []
    for row in try journal.partitions() where !row.source.topic.hasPrefix("ferry.canary.") {
      let map = try journal.loadMap(row.id).map
      guard let first = map.segments.first, let sourceEnd = map.end(on: .source),
        let targetEnd = map.end(on: .target)
      else { continue }
      let configs = try await clusters.sourceAdmin.configs(of: row.source.topic)
      let isCompacted = configs.areOfCompactedTopic
      // Records that retention has taken from the source since are beyond proof.
      let bounds = try await clusters.sourceAdmin.bounds(of: [row.source])[row.source]!
      let from = max(first.sourceStart, bounds.start)
      guard from < sourceEnd, let targetFrom = map.translate(from, from: .source) else { continue }
      verdicts.append(
        try await comparator.compare(
          ComparisonRange(
            source: row.source, target: row.target, sourceRange: from..<sourceEnd,
            targetRange: targetFrom..<targetEnd, map: map, isCompacted: isCompacted,
            passedOver: folded.leftStrays(of: row.source).flatMap {
              map.gaps(in: $0, on: .source)
            }),
          onProgress: onProgress))
    }
    return try await verdicts + rekeyed(onProgress)
  }

  /// Compares all rounds of rekeyed topics.
  private func rekeyed(
    _ onProgress: @escaping @Sendable (Int64) -> Void
  ) async throws -> [Verdict] {
    let comparator = try RekeyComparator(source: clusters.source, target: clusters.target)
    var verdicts: [Verdict] = []
    let topics = Dictionary(
      try journal.partitions().map { ($0.source.topic, $0.target.topic) },
      uniquingKeysWith: { first, _ in first })
    for (source, target) in topics.sorted(by: { $0.key < $1.key }) {
      let cuts = try journal.rekeyCuts(of: source)
      guard !cuts.isEmpty else { continue }
      let found = try await comparator.compare(
        [.source: source, .target: target], cuts, onProgress: onProgress)
      var whole = Verdict(source: TopicPartition(source, 0), target: TopicPartition(target, 0))
      whole.records = found.records
      verdicts += found.verdicts.isEmpty ? [whole] : found.verdicts
    }
    return verdicts
  }

  /// A committed offset and where it stands on the other cluster.
  package struct Translation: Sendable, Codable {
    package let partition: TopicPartition
    package let offset: Offset
    package let translated: Offset
    package let other: TopicPartition
    /// The record at exactly this offset has been mirrored.
    package let isExact: Bool
  }

  /// Translates one offset of a partition, named as on the origin of `direction`.
  package func translate(
    _ partition: TopicPartition, _ offset: Offset, _ direction: Direction
  ) throws -> Translation {
    guard
      let row = try journal.partitions().first(where: {
        (direction == .forward ? $0.source : $0.target) == partition
      })
    else {
      throw EngineError.commandRefused("the journal knows no partition \(partition)")
    }
    guard try journal.lastRekeyCut(of: row.source.topic) == nil else {
      throw EngineError.notSupported(
        "to translate an offset of \(partition): its topic is rekeyed, so offsets do not correspond one to one"
      )
    }
    let map = try journal.loadMap(row.id).map
    let next = map.end(on: direction.destination) ?? Offset(0)
    return Translation(
      partition: partition, offset: offset,
      translated: map.translate(offset, from: direction.origin) ?? next,
      other: direction == .forward ? row.target : row.source,
      isExact: map.contains(offset, on: direction.origin))
  }

  /// Translates a group's commits, as they are on the origin now.
  package func translate(group: String, _ direction: Direction) async throws -> [Translation] {
    let commits = try await clusters.admin(direction.origin).committedOffsets(of: group)
    let known = Set(
      try journal.partitions().map { direction == .forward ? $0.source : $0.target })
    return try commits.filter { known.contains($0.key) }.sorted { $0.key < $1.key }.map {
      try translate($0.key, $0.value, direction)
    }
  }

  /// Compares a topic on any two clusters, pairing records by order.
  package static func compare(
    source: ClusterConnection, target: ClusterConnection, topic: String, targetTopic: String,
    onProgress: @escaping @Sendable (Int64) -> Void
  ) async throws -> [Verdict] {
    let sourceAdmin = try Admin(source)
    let targetAdmin = try Admin(target)
    guard let here = try await sourceAdmin.topics(named: topic).first,
      let there = try await targetAdmin.topics(named: targetTopic).first
    else { throw EngineError.commandRefused("topic \(topic) is not on both clusters") }
    guard here.partitionCount == there.partitionCount else {
      throw EngineError.commandRefused(
        "topic \(topic) has \(here.partitionCount) partitions, \(targetTopic) has \(there.partitionCount)"
      )
    }
    let isCompacted = try await sourceAdmin.configs(of: topic).areOfCompactedTopic
    let comparator = try Comparator(source: source, target: target)
    var verdicts: [Verdict] = []
    for number in 0..<here.partitionCount {
      let from = TopicPartition(topic, number)
      let to = TopicPartition(targetTopic, number)
      let left = try await sourceAdmin.bounds(of: [from])[from]!
      let right = try await targetAdmin.bounds(of: [to])[to]!
      verdicts.append(
        try await comparator.compare(
          ComparisonRange(
            source: from, target: to, sourceRange: left.start..<left.end,
            targetRange: right.start..<right.end, map: nil, isCompacted: isCompacted),
          onProgress: onProgress))
    }
    return verdicts
  }
}
