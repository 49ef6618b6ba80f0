internal import Kafka
internal import KafkaModel
internal import Plan

/// What a reviewer has to know of fences that Ferry puts up itself.
enum FenceCheck {
  static func look(
    _ plan: MigrationPlan, _ estate: Estate, _ clusters: Clusters
  ) async throws -> (blockers: [String], findings: [String]) {
    var blockers: [String] = []
    var findings: [String] = []
    for stage in plan.stages {
      guard case .denyWrite(let principals) = stage.fence else { continue }
      findings.append(
        "stage \(stage.name): super users pass its `acl` fence; what \(principals.joined(separator: ", ")) write is refused with TOPIC_AUTHORIZATION_FAILED, which clients do not retry"
      )
      for role in ClusterRole.allCases {
        do {
          let present = try await clusters.admin(role).topicACLs()
          let topics = estate.topics(of: stage.name)
            .map { role == .source ? $0.name : $0.targetName }
          let rules = FenceRuleSet(
            topics: Set(topics), canary: "", principals: principals, present: present, held: [])
          if !rules.open.isEmpty {
            let error = EngineError.fenceLocksOut(topics: rules.open, cluster: role.rawValue)
            blockers.append("stage \(stage.name): \(error.summary)")
          }
        } catch {
          guard !error.isConnectivity else { throw error }
          blockers.append(
            "stage \(stage.name): an `acl` fence cannot be put up: \(error.summary)")
        }
      }
    }
    return (blockers, findings)
  }
}
