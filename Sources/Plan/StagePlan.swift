package import KafkaModel

/// Topics and groups that move together, and what has to hold.
package struct StagePlan: Hashable, Sendable, Encodable {
  /// Takes a stage back by itself while it soaks.
  package struct RollbackTrigger: Hashable, Sendable, Codable {
    /// Records that any one of the stage's groups is behind on the target.
    package let groupLagAbove: Int64
    /// How long the lag has to stay above.
    package let sustained: Duration
    /// How long people are told before it happens, and may stop it with `ferry veto`.
    package let grace: Duration
  }

  package let name: String
  package let topics: [Selector]
  package let groups: [Selector]
  package let strategy: Strategy
  /// Stages that have to soak before this one may begin its cutover; `nil` for all earlier ones.
  package let after: [String]?
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
  package let strays: StrayPolicy
  /// Whether the source topics keep all their records while the stage can go back from the target.
  package let extendRetention: Bool
  /// Where the stage stands.
  package let location: SourceLocation

  /// Where a stage stands is no part of what it means, so it is not encoded.
  private enum CodingKeys: CodingKey {
    case name, topics, groups, strategy, after, fence, unfence, stability, gates, switchClients
    case soak, rollbackOn, strays, extendRetention
  }
}

extension StagePlan {
  /// The gates by the names that `ferry force` takes: the kind, numbered from the second of a kind on.
  package var namedGates: [(name: String, gate: Gate)] {
    var counts: [String: Int] = [:]
    return gates.map { gate in
      let count = counts[gate.kind, default: 0] + 1
      counts[gate.kind] = count
      return (count == 1 ? gate.kind : "\(gate.kind)#\(count)", gate)
    }
  }

  /// The stages that have to soak before `stage` may begin its cutover.
  static func predecessors(of stage: StagePlan, in stages: [StagePlan]) -> [String] {
    stage.after ?? stages.prefix { $0.name != stage.name }.map(\.name)
  }
}

extension MigrationPlan {
  /// The stages that have to soak before this one may begin its cutover.
  package func predecessors(of stage: StagePlan) -> [String] {
    StagePlan.predecessors(of: stage, in: stages)
  }
}
