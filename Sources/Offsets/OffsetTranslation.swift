package import KafkaModel

/// What a group does with a partition that it has no commit for, although it has commits elsewhere in
/// that topic.
package enum MissingCommitPolicy: String, Hashable, Sendable, Codable {
  case error
  case earliest
  case latest
}

/// Everything that translation needs to know of one partition.
package struct TranslationSource: Sendable {
  package let map: OffsetMap
  package let source: TopicPartition
  package let target: TopicPartition
  /// Where the destination's next mirrored record will stand.
  package let destinationEnd: Offset
  /// The destination's log start.
  package let destinationStart: Offset
  /// Every record of the origin before this offset is in the map. `nil` where the mirror was drained:
  /// then a commit behind the map's end stands at the end of the log.
  package let covered: Offset?

  package init(
    map: OffsetMap, source: TopicPartition, target: TopicPartition, destinationStart: Offset,
    destinationEnd: Offset, covered: Offset? = nil
  ) {
    self.map = map
    self.source = source
    self.target = target
    self.destinationStart = destinationStart
    self.destinationEnd = destinationEnd
    self.covered = covered
  }

  package func partition(on role: ClusterRole) -> TopicPartition {
    role == .source ? source : target
  }

  /// The offset that continues, on the destination, exactly where `committed` would on the origin: that
  /// of the first mirrored record at or after it, or the next mirrored position where there is none.
  package func translate(_ committed: Offset, _ direction: Direction) -> Offset {
    map.translate(committed, from: direction.origin) ?? destinationEnd
  }
}

/// The partitions that translation is about, found by topic: a group reads few of many.
package struct TranslationTable: Sendable {
  package let direction: Direction
  /// By the topic's name on the direction's origin.
  let byTopic: [String: [TranslationSource]]

  package init(_ sources: [TranslationSource], _ direction: Direction) {
    self.direction = direction
    byTopic = Dictionary(grouping: sources) { $0.partition(on: direction.origin).topic }
  }

  /// The partitions of the topics in which the group has commits.
  func sources(for commits: [TopicPartition: Offset]) -> [TranslationSource] {
    Set(commits.keys.map(\.topic)).flatMap { byTopic[$0] ?? [] }
  }
}

/// A group's commits on one cluster, translated to the other.
package struct GroupTranslation: Hashable, Sendable {
  package let group: String
  /// By the partition's name on the source cluster: committed offset and its translation.
  package let offsets: [TopicPartition: TranslatedOffset]
  /// Partitions without a commit, in topics that the group reads, that the policy does not allow.
  package let uncommitted: [TopicPartition]

  package struct TranslatedOffset: Hashable, Sendable {
    /// `nil` where the policy chose.
    package let origin: Offset?
    package let destination: Offset
  }

  /// Translates all that `commits` says of `partitions`.
  ///
  /// - Parameter commits: by the partition's name on the direction's origin.
  package init(
    group: String, commits: [TopicPartition: Offset], partitions: TranslationTable,
    policy: MissingCommitPolicy
  ) {
    self.group = group
    let direction = partitions.direction
    var offsets: [TopicPartition: TranslatedOffset] = [:]
    var uncommitted: [TopicPartition] = []
    for partition in partitions.sources(for: commits) {
      let origin = partition.partition(on: direction.origin)
      if let commit = commits[origin] {
        offsets[partition.source] = TranslatedOffset(
          origin: commit, destination: partition.translate(commit, direction))
        continue
      }
      switch policy {
      case .error: uncommitted.append(origin)
      case .earliest:
        offsets[partition.source] = TranslatedOffset(
          origin: nil, destination: partition.destinationStart)
      case .latest:
        offsets[partition.source] = TranslatedOffset(
          origin: nil, destination: partition.destinationEnd)
      }
    }
    self.offsets = offsets
    self.uncommitted = uncommitted.sorted()
  }
}
