/// Chooses topics or groups by name.
package enum Selector: Hashable, Sendable, Codable {
  case name(String)
  /// A regular expression that has to match the whole name.
  case match(String)

  /// Whether `name` is meant. Names that begin with `__` are Kafka's own and never are.
  package func matches(_ name: String) -> Bool { captures(of: name) != nil }

  /// What `$0`, `$1` ... stand for; `nil` where `name` is not meant.
  func captures(of name: String) -> [String]? {
    guard !name.hasPrefix("__") else { return nil }
    switch self {
    case .name(let exact): return exact == name ? [name] : nil
    case .match(let pattern):
      guard let match = try? Regex(pattern).wholeMatch(in: name) else { return nil }
      return (0..<match.output.count).map { String(match.output[$0].substring ?? "") }
    }
  }

  package var text: String {
    switch self {
    case .name(let text), .match(let text): text
    }
  }
}
