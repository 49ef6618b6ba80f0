package import KafkaModel

/// Topics and groups that move together, and what has to hold.
package struct StagePlan: Hashable, Sendable, Encodable {
  /// Takes a stage back by itself while it soaks.
  package struct RollbackTrigger: Hashable, Sendable, Codable {
    /// Records that any one of the stage's groups is behind on the target.
    package let groupLagAbove: Int64
    /// How long the lag has to stay above.
    package let sustained: Duration
  }

  package let name: String
  package let topics: [Selector]
  package let groups: [Selector]
  package let strategy: Strategy
  /// Stops the producers of the cluster that `FERRY_CLUSTER` names.
  package let fence: Fence
  /// Lifts a hook's fence; `nil` runs the fence hook with `FERRY_ACTION=unfence`.
  package let unfence: Hook?
  /// How long the end offsets have to stand still before the fence counts as holding.
  package let stability: Duration
  package let gates: [Gate]
  /// `switch:`, points clients to the cluster that `FERRY_CLUSTER` names.
  package let switchClients: Hook
  /// How long the rollback triggers are watched after the switch.
  package let soak: Duration
  package let rollbackOn: [RollbackTrigger]
  /// Whether the source topics keep all their records while the stage can go back from the target.
  package let extendRetention: Bool
  /// Where the stage stands.
  package let location: SourceLocation

  /// Where a stage stands is no part of what it means, so it is not encoded.
  private enum CodingKeys: CodingKey {
    case name, topics, groups, strategy, fence, unfence, stability, gates, switchClients, soak,
      rollbackOn, extendRetention
  }
}
