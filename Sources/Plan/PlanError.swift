internal import KafkaModel

/// One thing wrong with a plan, and where.
package struct PlanProblem: Hashable, Sendable, CustomStringConvertible {
  package let location: SourceLocation
  package let message: String

  package init(_ location: SourceLocation, _ message: String) {
    self.location = location
    self.message = message
  }

  package var description: String { "\(location): \(message)" }
}

/// A place in a plan file. Lines and columns count from 1.
package struct SourceLocation: Hashable, Sendable, CustomStringConvertible {
  package let file: String
  package let line: Int
  package let column: Int

  package var description: String { "\(file):\(line):\(column)" }
}

/// Why a plan cannot be used.
package enum PlanError: Error, Hashable, Sendable {
  case unreadable(path: String, reason: String)
  /// All problems of the file, in order.
  case invalid([PlanProblem])
  /// A secret that the plan refers to is not there. Names the reference, never a value.
  case secretMissing(reference: String, property: String)
}

extension PlanError: OperatorError {
  package var summary: String {
    switch self {
    case .unreadable(let path, let reason): "cannot read the plan \(path): \(reason)"
    case .invalid(let problems): problems.map(\.description).joined(separator: "\n")
    case .secretMissing(let reference, let property):
      "the secret for client property \(property), \(reference), is not there"
    }
  }

  package var hint: String {
    switch self {
    case .unreadable: "name an existing, readable file"
    case .invalid: "mend the plan where it says, then `ferry check` it again"
    case .secretMissing: "set the environment variable, or create the file, and run again"
    }
  }

  package var runbook: String? { "plan.md" }
}
