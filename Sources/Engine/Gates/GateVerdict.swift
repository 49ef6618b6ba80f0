/// How a gate was found. An error is never a pass.
package struct GateVerdict: Codable, Sendable, Hashable {
  package enum State: String, Codable, Sendable, Hashable {
    case open, closed, forced
  }

  /// The gate's name within its stage: what `ferry force` takes.
  package let gate: String
  package var state: State
  /// What was seen.
  package let why: String

  /// For people: `window: closed, it is wed 14:02`.
  package var summary: String { "\(gate): \(state.rawValue), \(why)" }
}
