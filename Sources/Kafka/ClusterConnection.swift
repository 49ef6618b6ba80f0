internal import CRdKafka
internal import KafkaModel
package import Logging

/// How to reach one cluster: librdkafka properties with all secrets resolved. Lives in memory only and
/// is never printed.
package struct ClusterConnection: Sendable, CustomStringConvertible {
  /// What the plan calls the cluster (`source`, `target`); stands in every log line and error.
  package let name: String
  /// Any property that librdkafka knows, `bootstrap.servers` among them.
  package let properties: [String: String]
  /// Receives librdkafka's own log lines and errors.
  package let logger: Logger
  /// Receives librdkafka's statistics (STATISTICS.md), JSON, where `statistics.interval.ms` is set.
  package var onStatistics: (@Sendable (String) -> Void)?

  package init(name: String, properties: [String: String], logger: Logger) {
    self.name = name
    self.properties = properties
    var logger = logger
    logger[metadataKey: "cluster"] = "\(name)"
    self.logger = logger
  }

  /// Properties without their values, which may be secrets.
  package var description: String {
    "\(name) cluster at \(properties["bootstrap.servers"] ?? "?")"
  }
}
