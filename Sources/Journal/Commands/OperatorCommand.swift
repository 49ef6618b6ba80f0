package import Foundation

/// A command as the journal keeps it.
package struct OperatorCommand: Hashable, Sendable {
  /// Ascends in the order of submission.
  package let id: Int64
  /// When it was submitted, to the millisecond.
  package let time: Date
  /// `rollback`, `approve` and so on.
  package let kind: String
  /// `nil` for the migration as a whole.
  package let stage: String?
  /// JSON text.
  package let arguments: String
  /// Who submitted it.
  package let user: String
  /// Where it was submitted.
  package let host: String
  /// What the operator gave as the reason.
  package let reason: String?
  /// `nil` while the command is open.
  package let outcome: CommandOutcome?
}
