/// An error that a person has to act on: says what happened and where, and what to do next.
package protocol OperatorError: Error, CustomStringConvertible {
  /// What happened and where, in one sentence without a final full stop.
  var summary: String { get }
  /// What to do next.
  var hint: String { get }
  /// The file name in `Runbooks/` that treats this error, without a folder; `nil` where the hint says all.
  var runbook: String? { get }
}

extension OperatorError {
  package var runbook: String? { nil }

  package var description: String {
    var text = "\(summary)\n  next: \(hint)"
    if let runbook { text += "\n  see:  Runbooks/\(runbook)" }
    return text
  }
}
