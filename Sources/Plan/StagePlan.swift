/// Topics and groups that move together, and what has to hold.
package struct StagePlan: Hashable, Sendable, Codable {
  package struct RollbackTrigger: Hashable, Sendable, Codable {
    package let groupLagAbove: Int64
    /// How long the lag has to stay above.
    package let sustained: Duration
  }

  package let name: String
  package let topics: [Selector]
  package let groups: [Selector]
  /// Stops the producers of the cluster that `FERRY_CLUSTER` names.
  package let fence: Hook
  /// Lifts the fence; `nil` runs the fence hook with `FERRY_ACTION=unfence`.
  package let unfence: Hook?
  /// How long the end offsets have to stand still before the fence counts as holding.
  package let stability: Duration
  package let gates: [Gate]
  package let switchClients: Hook
  package let soak: Duration
  package let rollbackOn: [RollbackTrigger]
}

/// What has to hold before a stage's clients are touched.
package enum Gate: Hashable, Sendable, Codable {
  /// At most this many records behind, for this long.
  case lagBelow(Int64, sustained: Duration)
  /// Draining after the fence takes no longer.
  case drainWithin(Duration)
  /// This many different people said yes.
  case approvals(Int)

  /// For reports.
  package var summary: String {
    switch self {
    case .lagBelow(let lag, let sustained): "mirror lag at most \(lag) records for \(sustained)"
    case .drainWithin(let duration): "drain within \(duration)"
    case .approvals(let count): "\(count) approval\(count == 1 ? "" : "s")"
    }
  }
}
