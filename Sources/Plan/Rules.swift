/// How a set of topics is mirrored.
package struct TopicRule: Hashable, Sendable, Codable {
  package enum Partitions: Hashable, Sendable, Codable {
    case same
    case count(Int)
  }

  /// Where the copy begins.
  package enum Start: Hashable, Sendable, Codable {
    case earliest
    case latest
    /// Milliseconds since 1970.
    case timestamp(Int64)
  }

  package let selector: Selector
  package let owner: String
  /// The target's name; `$0` is the source's, `$1` ... what the pattern's groups matched.
  package let rename: String
  package let partitions: Partitions
  /// `nil` leaves it to the target cluster's default.
  package let replication: Int?
  /// Overrides of the target topic, besides those copied from the source.
  package let config: [String: String]
  package let start: Start

  package func targetName(for topic: String) -> String {
    guard let captures = selector.captures(of: topic) else { return topic }
    var name = rename
    for (index, text) in captures.enumerated().reversed() {
      name = name.replacing("$\(index)", with: text)
    }
    return name
  }
}

/// How a consumer group is stopped, moved and started.
package struct GroupRule: Hashable, Sendable, Codable {
  package enum Engine: String, Hashable, Sendable, Codable, CaseIterable {
    case consumer, streams, connect, flink, spark
  }

  package enum MissingCommit: String, Hashable, Sendable, Codable, CaseIterable {
    case error, earliest, latest
  }

  /// What the group has to show on the target.
  package struct Verify: Hashable, Sendable, Codable {
    package let lagBelow: Int64
    package let within: Duration
  }

  package let selector: Selector
  package let owner: String
  package let engine: Engine
  package let missingCommit: MissingCommit
  package let pause: Hook?
  package let resume: Hook?
  package let verify: Verify?
  /// What happens to the business if this goes wrong, in the owner's words.
  package let failureMode: String?
}

/// How fast and how widely records are copied.
package struct MirrorPlan: Hashable, Sendable, Codable {
  package var bytesPerSecond: Int64?
  /// `nil` is automatic.
  package var lanes: Int?
  /// Bytes read and not yet stored, at most.
  package var memoryBytes: Int64 = 512 << 20
}

/// How records are compared.
package struct ValidatePlan: Hashable, Sendable, Codable {
  package var bytesPerSecond: Int64?
}
