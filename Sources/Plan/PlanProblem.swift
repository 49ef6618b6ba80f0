/// One thing wrong with a plan, and where.
package struct PlanProblem: Hashable, Sendable, CustomStringConvertible {
  package let location: SourceLocation
  /// What is wrong and, where something similar is known, what may have been meant. Never holds the
  /// value of a client property.
  package let message: String

  package init(_ location: SourceLocation, _ message: String) {
    self.location = location
    self.message = message
  }

  /// `file:line:column: message`.
  package var description: String { "\(location): \(message)" }
}
