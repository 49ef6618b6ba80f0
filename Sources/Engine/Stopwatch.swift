/// What a step spent its time on.
package struct StepPart: Codable, Sendable, Hashable {
  /// What was reached at the end of it, for people.
  package let what: String
  package let seconds: Double
}

/// Divides a step's time into parts, without a gap.
struct Stopwatch {
  private(set) var parts: [StepPart] = []
  private var last = ContinuousClock.now

  /// Ends a part, at which `what` was reached.
  mutating func lap(_ what: String) {
    let now = ContinuousClock.now
    parts.append(StepPart(what: what, seconds: (now - last) / .seconds(1)))
    last = now
  }
}
