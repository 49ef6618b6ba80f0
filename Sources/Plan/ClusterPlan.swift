internal import Foundation

/// A client property's value, or where to find it.
package enum PropertyValue: Hashable, Sendable, Codable {
  case literal(String)
  /// `env:NAME`
  case environment(String)
  /// `file:PATH`, relative to the plan's directory
  case file(String)
}

/// How to reach one cluster.
package struct ClusterPlan: Hashable, Sendable, Codable {
  /// `host:port`, at least one.
  package let bootstrap: [String]
  /// librdkafka properties.
  package let client: [String: PropertyValue]

  /// The properties with secrets filled in. The result is never stored or printed.
  ///
  /// Throws: ``PlanError/secretMissing(reference:property:)``.
  package func resolvedClient(directory: String) throws(PlanError) -> [String: String] {
    var resolved: [String: String] = [:]
    for (property, value) in client {
      switch value {
      case .literal(let text): resolved[property] = text
      case .environment(let name):
        guard let text = ProcessInfo.processInfo.environment[name] else {
          throw .secretMissing(reference: "env:\(name)", property: property)
        }
        resolved[property] = text
      case .file(let path):
        let url = URL(
          fileURLWithPath: path, relativeTo: URL(fileURLWithPath: directory, isDirectory: true))
        guard var text = try? String(contentsOf: url, encoding: .utf8) else {
          throw .secretMissing(reference: "file:\(path)", property: property)
        }
        while text.last?.isNewline == true { text.removeLast() }
        resolved[property] = text
      }
    }
    return resolved
  }

  /// Whether a literal for this property would put a secret into the plan.
  static func isSecret(_ property: String) -> Bool {
    property.hasSuffix("password") || property.hasSuffix("client.secret")
      || property.hasSuffix("key.pem") || property == "sasl.oauthbearer.config"
  }
}
