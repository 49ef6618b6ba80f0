/// A target name's pattern: text in which `$0` stands for the source's name, and `$1` ... for what the
/// selector's capture groups matched.
struct RenameTemplate {
  enum Part: Hashable {
    case text(String)
    case group(Int)
  }

  let parts: [Part]

  /// Returns `nil` where a `$` has no number behind it.
  init?(_ template: String) {
    var parts: [Part] = []
    var rest = Substring(template)
    while let character = rest.first {
      if character == "$" {
        let digits = rest.dropFirst().prefix { $0.isASCII && $0.isNumber }
        guard let number = Int(digits) else { return nil }
        parts.append(.group(number))
        rest = rest.dropFirst(1 + digits.count)
      } else {
        let text = rest.prefix { $0 != "$" }
        parts.append(.text(String(text)))
        rest = rest.dropFirst(text.count)
      }
    }
    self.parts = parts
  }

  /// The highest group that is used; `nil` where the result does not depend on the source's name.
  var highestGroup: Int? {
    parts.compactMap { if case .group(let number) = $0 { number } else { nil } }.max()
  }

  /// The text between the groups.
  var literals: String {
    parts.map { if case .text(let text) = $0 { text } else { "" } }.joined()
  }

  func filled(with captures: [String]) -> String {
    parts.map { part in
      switch part {
      case .text(let text): text
      case .group(let number): number < captures.count ? captures[number] : ""
      }
    }.joined()
  }
}
