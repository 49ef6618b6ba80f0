internal import KafkaModel

/// Why a plan cannot be used.
package enum PlanError: Error, Hashable, Sendable {
  case unreadable(path: String, reason: String)
  /// All problems of the file, in the order of their places.
  case invalid([PlanProblem])
  /// A secret that the plan refers to is not there, or is empty. Names the reference, never a value.
  case secretMissing(reference: String, property: String)
}

extension PlanError: OperatorError {
  package var summary: String {
    switch self {
    case .unreadable(let path, let reason): "cannot read the plan \(path): \(reason)"
    case .invalid(let problems): problems.map(\.description).joined(separator: "\n")
    case .secretMissing(let reference, let property):
      "the secret for client property \(property), \(reference), is not there or is empty"
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
