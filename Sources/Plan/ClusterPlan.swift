/// How to reach one cluster.
package struct ClusterPlan: Hashable, Sendable, Codable {
  /// `host:port`, at least one.
  package let bootstrap: [String]
  /// librdkafka properties by name. Properties that look like secrets are always references.
  package let client: [String: PropertyValue]

  /// The properties with references filled in. The result holds secrets: never store or print it.
  ///
  /// - Parameter directory: the plan's, where relative paths start.
  ///
  /// Throws: ``PlanError/secretMissing(reference:property:)``.
  package func resolvedClient(directory: String) throws(PlanError) -> [String: String] {
    var resolved: [String: String] = [:]
    for property in client.keys.sorted() {
      resolved[property] = try client[property]?.resolve(property: property, directory: directory)
    }
    return resolved
  }

  /// Whether a literal for this property would put a secret into the plan.
  static func isSecret(_ property: String) -> Bool {
    let property = property.lowercased()
    return ["password", "passwd", "secret", "passphrase", "jaas"].contains {
      property.contains($0)
    } || property.hasSuffix("key.pem") || property == "sasl.oauthbearer.config"
  }

  /// Properties that Ferry's promises rest on, or that stand elsewhere in the plan.
  static let reserved: [String: String] = [
    "bootstrap.servers": "name the brokers in `bootstrap`",
    "metadata.broker.list": "name the brokers in `bootstrap`",
    "auto.offset.reset": "Ferry sets it itself",
    "enable.auto.commit": "Ferry sets it itself",
    "enable.auto.offset.store": "Ferry sets it itself",
    "enable.gapless.guarantee": "Ferry sets it itself",
    "enable.idempotence": "Ferry sets it itself",
    "enable.partition.eof": "Ferry sets it itself",
    "group.id": "Ferry assigns partitions and joins no group",
    "isolation.level": "Ferry sets it itself",
    "transactional.id": "Ferry produces without transactions",
  ]
}
