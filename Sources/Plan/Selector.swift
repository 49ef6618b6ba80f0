/// Chooses topics or groups by name.
package enum Selector: Hashable, Sendable, Codable {
  /// `name:`, exactly, byte for byte.
  case name(String)
  /// `match:`, a regular expression that has to match the whole name.
  case match(String)

  /// Whether `name` is chosen. An expression that does not compile chooses nothing; a plan that was
  /// parsed holds none.
  package func matches(_ name: String) -> Bool { captures(of: name) != nil }

  /// What `$0`, `$1` ... stand for, a group that took no part being empty; `nil` where `name` is not
  /// chosen.
  func captures(of name: String) -> [String]? {
    switch self {
    case .name(let exact): return exact.utf8.elementsEqual(name.utf8) ? [name] : nil
    case .match(let pattern):
      guard let match = try? Regex(pattern).wholeMatch(in: name) else { return nil }
      return (0..<match.output.count).map { String(match.output[$0].substring ?? "") }
    }
  }

  /// The name or the expression, as the plan spells it.
  package var text: String {
    switch self {
    case .name(let text), .match(let text): text
    }
  }

  /// The only name that can be chosen, as far as that can be told: an expression such as
  /// `orders.v1` counts as the name it is spelled like.
  var literal: String? {
    switch self {
    case .name(let text): text
    case .match(let pattern):
      pattern.contains(where: { #"\*+?()[]{}|^$"#.contains($0) }) ? nil : pattern
    }
  }

  /// How many capture groups there are, for `$1` ... in `rename`.
  var groupCount: Int {
    guard case .match(let pattern) = self,
      // The newline ends a comment that an extended expression may end in.
      let match = try? Regex("(?:\(pattern)\n)?").wholeMatch(in: "")
    else { return 0 }
    return match.output.count - 1
  }
}
