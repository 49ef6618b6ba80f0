package import KafkaModel

/// Everything that translation needs to know of a rekeyed topic.
///
/// Offsets of its partitions do not correspond one to one, so a group goes on, in all partitions at once, at
/// the last cut that lies at or before its commits: it skips nothing, and reads again what it had read
/// behind that cut. A group that has read all that was mirrored reads nothing again.
package struct RekeyTranslation: Sendable {
  package let source: String
  package let target: String
  /// In order.
  package let cuts: [RekeyCut]

  package init(source: String, target: String, cuts: [RekeyCut]) {
    self.source = source
    self.target = target
    self.cuts = cuts
  }

  func name(on role: ClusterRole) -> String { role == .source ? source : target }

  /// Partitions that the topic has on a cluster.
  func count(on role: ClusterRole) -> Int { cuts.last?.ends(on: role).count ?? 0 }

  /// Where a group stands, by partition of the origin; a partition without a commit gets what the policy
  /// says: before everything, or behind it.
  func position(
    _ commits: [TopicPartition: Offset], _ policy: MissingCommitPolicy, _ direction: Direction
  ) -> [Offset] {
    (0..<count(on: direction.origin)).map { number in
      commits[TopicPartition(name(on: direction.origin), Int32(number))]
        ?? (policy == .latest ? Offset(.max) : Offset(0))
    }
  }

  /// The first of the cuts that lie as far on as possible and not behind `position` anywhere; the first of
  /// all where the group stands before everything that was mirrored.
  package func cut(at position: [Offset], _ direction: Direction) -> RekeyCut? {
    let origin = direction.origin
    guard
      let last = cuts.last(where: { $0.ends(on: origin).isWithin(position) }) ?? cuts.first
    else { return nil }
    return cuts.first { $0.ends(on: origin) == last.ends(on: origin) }
  }

  /// Records that a group reads again which goes on at `cut`, at most: each offset counts, whatever stands
  /// there. None are counted behind the last record that was mirrored.
  package func reRead(from cut: RekeyCut, at position: [Offset], _ direction: Direction) -> Int64 {
    let origin = direction.origin
    guard cuts.contains(where: { $0.number > cut.number && $0.records > 0 }) else { return 0 }
    let end = cuts.last?.ends(on: origin) ?? []
    return zip(zip(position, end), cut.ends(on: origin)).reduce(0) { sum, each in
      sum + max(0, min(each.0.0, each.0.1) - each.1)
    }
  }
}
