internal import Yams

/// Reads one YAML mapping strictly: keys nobody asked for, and missing ones, are problems.
struct MappingReader {
  private let parser: PlanParser
  private let what: String
  private let location: SourceLocation
  private let values: [String: Node]

  /// - Parameter what: names the mapping in messages: `a stage`.
  init?(_ node: Node?, _ parser: PlanParser, what: String, keys: [String]) {
    guard let node else { return nil }
    self.parser = parser
    self.what = what
    location = parser.location(of: node)
    guard case .mapping(let mapping) = node else {
      parser.problem(
        node, "\(what) has to be a mapping with the keys \(keys.joined(separator: ", "))")
      return nil
    }
    var values: [String: Node] = [:]
    for (key, value) in mapping {
      let name = key.string ?? ""
      if keys.contains(name) {
        values[name] = value
      } else {
        let near = Spelling.nearest(to: name, in: keys)
        let suggestion =
          near.map { "; did you mean `\($0)`?" } ?? "; known are \(keys.joined(separator: ", "))"
        parser.problem(key, "\(what) has no key `\(name)`\(suggestion)")
      }
    }
    self.values = values
  }

  subscript(_ key: String) -> Node? { values[key] }

  /// The node of a key that has to be there.
  func required(_ key: String) -> Node? {
    if values[key] == nil { parser.problem(location, "\(what) needs `\(key)`") }
    return values[key]
  }

  func string(_ key: String) -> String? { values[key].flatMap { parser.string($0, key) } }
  func requiredString(_ key: String) -> String? { required(key).flatMap { parser.string($0, key) } }
  func integer(_ key: String, atLeast minimum: Int64 = 0) -> Int64? {
    values[key].flatMap { parser.integer($0, key, atLeast: minimum) }
  }
  func duration(_ key: String) -> Duration? { values[key].flatMap { parser.duration($0, key) } }
  func list(_ key: String) -> [Node] { values[key].map { parser.list($0, key) } ?? [] }

  func choice<Choice: RawRepresentable & CaseIterable>(
    _ key: String, default standard: Choice
  ) -> Choice where Choice.RawValue == String {
    guard let node = values[key], let text = parser.string(node, key) else { return standard }
    if let choice = Choice(rawValue: text) { return choice }
    let all = Choice.allCases.map(\.rawValue)
    let near = Spelling.nearest(to: text, in: all).map { "; did you mean `\($0)`?" } ?? ""
    parser.problem(node, "`\(key)` is one of \(all.joined(separator: ", ")), not `\(text)`\(near)")
    return standard
  }
}

/// Finds what somebody may have meant.
enum Spelling {
  static func nearest(to word: String, in known: [String]) -> String? {
    let ranked = known.map { ($0, distance(word.lowercased(), $0.lowercased())) }
    guard let best = ranked.min(by: { $0.1 < $1.1 }), best.1 <= max(1, word.count / 3) else {
      return nil
    }
    return best.0
  }

  /// Levenshtein distance.
  private static func distance(_ left: String, _ right: String) -> Int {
    let right = Array(right)
    var row = Array(0...right.count)
    for (index, character) in left.enumerated() {
      var previous = row[0]
      row[0] = index + 1
      for column in right.indices {
        let cost = previous + (right[column] == character ? 0 : 1)
        previous = row[column + 1]
        row[column + 1] = min(cost, row[column] + 1, previous + 1)
      }
    }
    return row[right.count]
  }
}
