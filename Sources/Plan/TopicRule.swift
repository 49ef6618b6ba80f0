/// How a set of topics is mirrored.
package struct TopicRule: Hashable, Sendable, Encodable {
  /// How many partitions a target topic has.
  package enum Partitions: Hashable, Sendable, Codable {
    /// As many as its source.
    case same
    case count(Int)
  }

  /// Where the copy begins.
  package enum Start: Hashable, Sendable, Codable {
    case earliest
    case latest
    /// At the first record as young as this: milliseconds since 1970-01-01 UTC.
    case timestamp(Int64)
  }

  /// What to do where the source drops records before they are mirrored.
  package enum Gap: String, Hashable, Sendable, CaseIterable, Codable {
    /// Stop the partition.
    case stop
    /// Journal the lost range and go on behind it.
    case accept
  }

  /// What to do where the source topic gets more partitions while it is mirrored.
  package enum NewPartitions: String, Hashable, Sendable, CaseIterable, Codable {
    /// Stop: the topic is not as reviewed.
    case stop
    /// Mirror them as well, into the partitions of the same numbers.
    case mirror
  }

  package let selector: Selector
  /// Who answers for these topics.
  package let owner: String
  /// The target's name; `$0` is the source's, `$1` ... what the pattern's groups matched.
  package let rename: String
  package let partitions: Partitions
  /// `nil` leaves it to the target cluster's default.
  package let replication: Int?
  /// Overrides of the target topic, besides those copied from the source.
  package let config: [String: String]
  package let start: Start
  /// 0 ... 100: backfill of a topic waits for that of topics with a higher number.
  package let priority: Int
  package let onGap: Gap
  package let onNewPartitions: NewPartitions
  /// `nil` where records keep their partition's number. (So what the digest of a plan without it covers is as it
  /// always was.)
  private let rekey: Bool?
  /// Where the rule stands.
  package let location: SourceLocation

  /// Where a rule stands is no part of what it means, so it is not encoded.
  private enum CodingKeys: CodingKey {
    case selector, owner, rename, partitions, replication, config, start, priority, onGap
    case onNewPartitions, rekey
  }

  package init(
    selector: Selector, owner: String, rename: String, partitions: Partitions, replication: Int?,
    config: [String: String], start: Start, priority: Int, onGap: Gap,
    onNewPartitions: NewPartitions, isRekeyed: Bool = false, location: SourceLocation
  ) {
    self.selector = selector
    self.owner = owner
    self.rename = rename
    self.partitions = partitions
    self.replication = replication
    self.config = config
    self.start = start
    self.priority = priority
    self.onGap = onGap
    self.onNewPartitions = onNewPartitions
    rekey = isRekeyed ? true : nil
    self.location = location
  }

  /// Records are dealt to the target's partitions by their keys, as Java's producer does (`order: rekey`).
  package var isRekeyed: Bool { rekey == true }

  /// The target topic's name; `topic` itself where the rule does not mean it.
  package func targetName(for topic: String) -> String {
    guard let captures = selector.captures(of: topic), let template = RenameTemplate(rename) else {
      return topic
    }
    return template.filled(with: captures)
  }
}
