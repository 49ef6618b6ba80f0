package import Foundation

/// An operator's wish, from any process.
package struct NewCommand: Hashable, Sendable {
  /// `rollback`, `approve` and so on. Not empty.
  package var kind: String
  package var stage: String?
  /// JSON text.
  package var arguments: String
  package var user: String
  package var host: String
  package var reason: String?
  package var time: Date

  package init(
    kind: String, stage: String? = nil, arguments: String = "{}", user: String, host: String,
    reason: String? = nil, time: Date = Date()
  ) {
    self.kind = kind
    self.stage = stage
    self.arguments = arguments
    self.user = user
    self.host = host
    self.reason = reason
    self.time = time
  }
}
