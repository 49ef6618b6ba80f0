package import Kafka
package import KafkaModel
package import Logging
package import Plan

/// Connections and administration clients of both clusters.
package struct Clusters: Sendable {
  package let source: ClusterConnection
  package let target: ClusterConnection
  package let sourceAdmin: Admin
  package let targetAdmin: Admin
  /// Ends of logs as high watermarks rather than last stable offsets.
  package let sourceLogs: Admin
  package let targetLogs: Admin

  /// Resolves the plan's secrets. Does not connect yet.
  ///
  /// Throws: `PlanError` - a secret is missing; ``KafkaError`` - a property is wrong.
  package init(_ plan: MigrationPlan, logger: Logger) throws {
    source = try Self.connection(plan, .source, logger)
    target = try Self.connection(plan, .target, logger)
    sourceAdmin = try Admin(source)
    targetAdmin = try Admin(target)
    sourceLogs = try Admin(source, readCommitted: false)
    targetLogs = try Admin(target, readCommitted: false)
  }

  private static func connection(
    _ plan: MigrationPlan, _ role: ClusterRole, _ logger: Logger
  ) throws -> ClusterConnection {
    let cluster = plan.cluster(role)
    var properties = try cluster.resolvedClient(directory: plan.directory)
    properties["bootstrap.servers"] = cluster.bootstrap.joined(separator: ",")
    return ClusterConnection(name: role.rawValue, properties: properties, logger: logger)
  }

  package func connection(_ role: ClusterRole) -> ClusterConnection {
    role == .source ? source : target
  }

  package func admin(_ role: ClusterRole) -> Admin { role == .source ? sourceAdmin : targetAdmin }

  /// An administration client that sees high watermarks.
  package func logs(_ role: ClusterRole) -> Admin { role == .source ? sourceLogs : targetLogs }
}
