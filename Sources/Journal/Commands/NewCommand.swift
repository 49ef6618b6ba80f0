package import Foundation

/// An operator's wish, from any process.
package struct NewCommand: Hashable, Sendable {
  /// `rollback`, `approve` and so on. Not empty.
  package var kind: String
  /// `nil` for the migration as a whole.
  package var stage: String?
  /// JSON text.
  package var arguments: String
  /// Who submits it.
  package var user: String
  /// Where it is submitted.
  package var host: String
  /// For the record; `nil` where the operator gave none.
  package var reason: String?
  /// Recorded to the millisecond.
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
