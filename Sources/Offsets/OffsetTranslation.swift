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
  /// Stretches of the source's log that others wrote after the switch, and that stay there alone.
  package let strays: [Range<Offset>]
  /// Stretches that others wrote, and that were copied to the target: the copies were carried back, and
  /// stand further behind on the source.
  package let forwarded: [Range<Offset>]

  package init(
    map: OffsetMap, source: TopicPartition, target: TopicPartition, destinationStart: Offset,
    destinationEnd: Offset, covered: Offset? = nil, strays: [Range<Offset>] = [],
    forwarded: [Range<Offset>] = []
  ) {
    self.map = map
    self.source = source
    self.target = target
    self.destinationStart = destinationStart
    self.destinationEnd = destinationEnd
    self.covered = covered
    self.strays = strays
    self.forwarded = forwarded
  }

  package func partition(on role: ClusterRole) -> TopicPartition {
    role == .source ? source : target
  }

  /// The offset that continues, on the destination, exactly where `committed` would on the origin: that
  /// of the first mirrored record at or after it, or the next mirrored position where there is none. On the
  /// way back strays right before it come first: whoever stands there has read all before them, and
  /// nothing behind. Those that were forwarded come with their copy, so they are passed over if possible.
  package func translate(_ committed: Offset, _ direction: Direction) -> Offset {
    var place = map.translate(committed, from: direction.origin) ?? destinationEnd
    guard direction == .reverse else { return place }
    var start = place
    func before(_ stretches: [Range<Offset>]) -> Offset? {
      stretches.last { $0.upperBound == start && !$0.isEmpty }?.lowerBound
    }
    while true {
      if let stray = before(strays) {
        start = stray
        place = stray
      } else if let stray = before(forwarded) {
        start = stray
      } else {
        return place
      }
    }
  }

  /// What it means to a group that stands at `committed` on the origin to go on at `place` on the
  /// destination, in records. Strays that it passes over count as skipped, unless they were forwarded: then it has
  /// read the copy, or will. Where it goes on before a forwarded one it reads both, and one counts as read again.
  package func cost(
    of committed: Offset, at place: Offset, _ direction: Direction
  ) -> (reRead: Int64, skipped: Int64) {
    func count(_ range: Range<Offset>) -> Int64 {
      map.pairs(in: range, on: direction.origin).reduce(0) { $0 + $1.count }
    }
    // The map ascends on both sides: what lies before `place` there lies before this offset here.
    let border =
      map.translate(place, from: direction.destination)
      ?? max(map.end(on: direction.origin) ?? committed, committed)
    var skipped = committed < border ? count(committed..<border) : 0
    var reRead = border < committed ? count(border..<committed) : 0
    if direction == .reverse {
      skipped += strays.reduce(0) { sum, stretch in
        sum + max(0, min(stretch.upperBound, place) - stretch.lowerBound)
      }
      reRead += forwarded.reduce(0) { sum, stretch in
        sum + max(0, stretch.upperBound - max(stretch.lowerBound, place))
      }
    }
    return (reRead, skipped)
  }
}

/// The partitions that translation is about, found by topic: a group reads few of many.
package struct TranslationTable: Sendable {
  package let direction: Direction
  /// By the topic's name on the direction's origin.
  let byTopic: [String: [TranslationSource]]
  /// As ``byTopic``.
  private let rekeyed: [String: RekeyTranslation]

  package init(
    _ sources: [TranslationSource], _ direction: Direction, rekeyed: [RekeyTranslation] = []
  ) {
    self.direction = direction
    self.rekeyed = Dictionary(
      uniqueKeysWithValues: rekeyed.map { ($0.name(on: direction.origin), $0) })
    byTopic = Dictionary(grouping: sources) { $0.partition(on: direction.origin).topic }
  }

  /// What a translation means to its group, in records. Where a policy chose for a partition, all that it
  /// may have read there counts as read again, or none of it as skipped: nobody knows.
  package func cost(of translation: GroupTranslation) -> (reRead: Int64, skipped: Int64) {
    var sum: (reRead: Int64, skipped: Int64) = (0, 0)
    for source in byTopic.values.joined() {
      guard let offset = translation.offsets[source.source] else { continue }
      let committed = offset.origin ?? source.map.end(on: direction.origin) ?? Offset(0)
      let cost = source.cost(of: committed, at: offset.destination, direction)
      sum = (sum.reRead + cost.reRead, sum.skipped + cost.skipped)
    }
    for topic in rekeyed.values {
      guard let place = translation.rekeyed[topic.source] else { continue }
      sum.reRead += topic.reRead(from: place.cut, at: place.position, direction)
    }
    return sum
  }

  /// The partitions of the topics in which the group has commits.
  func sources(for commits: [TopicPartition: Offset]) -> [TranslationSource] {
    Set(commits.keys.map(\.topic)).flatMap { byTopic[$0] ?? [] }
  }

  /// The rekeyed ones of the topics in which the group has commits.
  func rekeyed(for commits: [TopicPartition: Offset]) -> [RekeyTranslation] {
    Set(commits.keys.map(\.topic)).compactMap { rekeyed[$0] }
  }
}

/// A group's commits on one cluster, translated to the other.
package struct GroupTranslation: Hashable, Sendable {
  package let group: String
  /// By the partition's name on the source cluster: committed offset and its translation.
  package let offsets: [TopicPartition: TranslatedOffset]
  /// Partitions without a commit, in topics that the group reads, that the policy does not allow.
  package let uncommitted: [TopicPartition]
  /// By the topic's name on the source: of the topics that are rekeyed. What that means for their
  /// partitions stands in ``offsets`` as well.
  package let rekeyed: [String: RekeyPlace]

  /// Where a group stands in a rekeyed topic, by partition of the origin, and where it goes on.
  package struct RekeyPlace: Hashable, Sendable {
    package let position: [Offset]
    package let cut: RekeyCut
  }

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
    var rekeyed: [String: RekeyPlace] = [:]
    for topic in partitions.rekeyed(for: commits) {
      if policy == .error {
        let missing = (0..<topic.count(on: direction.origin)).map {
          TopicPartition(topic.name(on: direction.origin), Int32($0))
        }.filter { commits[$0] == nil }
        uncommitted += missing
        guard missing.isEmpty else { continue }
      }
      let position = topic.position(commits, policy, direction)
      guard let cut = topic.cut(at: position, direction) else { continue }
      rekeyed[topic.source] = RekeyPlace(position: position, cut: cut)
      for (number, offset) in cut.ends(on: direction.destination).enumerated() {
        let name = TopicPartition(topic.name(on: direction.origin), Int32(number))
        offsets[TopicPartition(topic.source, Int32(number))] = TranslatedOffset(
          origin: commits[name], destination: offset)
      }
    }
    self.rekeyed = rekeyed
    self.offsets = offsets
    self.uncommitted = uncommitted.sorted()
  }
}
