/// How a consumer group is stopped, moved and started.
package struct GroupRule: Hashable, Sendable, Encodable {
  /// What runs the group. All but plain consumers have state of their own, and need hooks.
  package enum Engine: String, Hashable, Sendable, Codable, CaseIterable {
    case consumer, streams, connect, flink, spark
  }

  /// What is committed on the target for a partition that has no commit on the source.
  package enum MissingCommit: String, Hashable, Sendable, Codable, CaseIterable {
    /// Nothing: the stage stops and says so.
    case error
    case earliest
    case latest
  }

  /// What the group has to show on the target.
  package struct Verify: Hashable, Sendable, Codable {
    /// Records, summed over the group's partitions.
    package let lagBelow: Int64
    /// How long it may take.
    package let within: Duration
  }

  package let selector: Selector
  /// Who answers for these groups.
  package let owner: String
  package let engine: Engine
  package let missingCommit: MissingCommit
  /// Stops the group's members. `nil` leaves it to others; only for plain consumers.
  package let pause: Hook?
  /// Starts them on the cluster they are to read from. As ``pause``.
  package let resume: Hook?
  package let verify: Verify?
  /// What happens to the business if this goes wrong, in the owner's words.
  package let failureMode: String?
  /// Where the rule stands.
  package let location: SourceLocation

  /// Where a rule stands is no part of what it means, so it is not encoded.
  private enum CodingKeys: CodingKey {
    case selector, owner, engine, missingCommit, pause, resume, verify, failureMode
  }
}
