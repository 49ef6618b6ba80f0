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
  /// Where the rule stands.
  package let location: SourceLocation

  /// Where a rule stands is no part of what it means, so it is not encoded.
  private enum CodingKeys: CodingKey {
    case selector, owner, rename, partitions, replication, config, start
  }

  /// The target topic's name; `topic` itself where the rule does not mean it.
  package func targetName(for topic: String) -> String {
    guard let captures = selector.captures(of: topic), let template = RenameTemplate(rename) else {
      return topic
    }
    return template.filled(with: captures)
  }
}
