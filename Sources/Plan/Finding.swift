/// A remark on a plan that is valid.
package struct Finding: Hashable, Sendable, Codable {
  /// How much it matters: warnings fail `ferry check --strict`.
  package enum Severity: String, Hashable, Sendable, Codable {
    case warning
    case note
  }

  package let severity: Severity
  /// What kind of remark this is, for programs: `manual-fence`.
  package let code: String
  package let message: String
  package let location: SourceLocation
}
