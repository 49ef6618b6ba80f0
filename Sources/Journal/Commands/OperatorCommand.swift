package import Foundation

/// A command as the journal keeps it.
package struct OperatorCommand: Hashable, Sendable {
  /// Ascends in the order of submission.
  package let id: Int64
  package let time: Date
  package let kind: String
  package let stage: String?
  /// JSON text.
  package let arguments: String
  package let user: String
  package let host: String
  package let reason: String?
  /// `nil` while the command is open.
  package let outcome: CommandOutcome?
}
