internal import Yams

/// Reads one YAML mapping strictly: keys nobody asked for, keys without a value and missing ones are
/// problems.
struct MappingReader {
  private let parser: PlanParser
  private let what: String
  private let location: SourceLocation
  private var values: [String: Node] = [:]
  /// Keys that were there in some unusable form: that they are missing need not be said as well.
  private var blamed: Set<String> = []
  /// Whether a key was no good, so that what follows from its absence need not be said.
  private(set) var hasBadKeys = false

  /// - Parameters:
  ///   - what: names the mapping in messages: `a stage`.
  ///   - unsupported: keys that are known and not supported yet, and what to say about them.
  ///
  /// Returns `nil` where there is no node, or no mapping, which is a problem.
  init?(
    _ node: Node?, _ parser: PlanParser, what: String, keys: [String],
    unsupported: [String: String] = [:]
  ) {
    guard let node else { return nil }
    self.parser = parser
    self.what = what
    location = parser.location(of: node)
    guard case .mapping(let mapping) = node else {
      parser.problem(
        node, "\(what) has to be a mapping with the keys \(keys.joined(separator: ", "))")
      return nil
    }
    for (key, value) in mapping {
      let name = key.scalar?.string ?? ""
      if values[name] != nil {
        parser.problem(key, "\(what) has the key `\(name)` twice")
      } else if keys.contains(name), !PlanParser.isNull(value) {
        values[name] = value
      } else if keys.contains(name) {
        parser.problem(value, "`\(name)` has no value")
        blame(name)
      } else {
        parser.problem(key, unsupported[name] ?? unknown(name, keys))
        if let near = Spelling.nearest(to: name, in: keys) { blamed.insert(near) }
        hasBadKeys = true
      }
    }
  }

  private mutating func blame(_ key: String) {
    blamed.insert(key)
    hasBadKeys = true
  }

  private func unknown(_ name: String, _ keys: [String]) -> String {
    if name == "<<" { return "merge keys (`<<`) are not supported: use an alias for a whole value" }
    let near = Spelling.suggestion(for: name, in: keys)
    return "\(what) has no key `\(name)`"
      + (near.isEmpty ? "; known are \(keys.joined(separator: ", "))" : near)
  }

  subscript(_ key: String) -> Node? { values[key] }

  /// The node of a key that has to be there.
  func required(_ key: String) -> Node? {
    if values[key] == nil, !blamed.contains(key) {
      parser.problem(location, "\(what) needs `\(key)`")
    }
    return values[key]
  }

  /// Which one of several keys, exactly one of which has to be there.
  func exactlyOne(of keys: [String]) -> String? {
    let given = keys.filter { values[$0] != nil }
    if given.count == 1 { return given[0] }
    if !given.isEmpty || !hasBadKeys {
      parser.problem(location, "\(what) needs exactly one of \(keys.joined(separator: ", "))")
    }
    return nil
  }

  func string(_ key: String) -> String? { values[key].flatMap { parser.string($0, key) } }

  func requiredString(_ key: String) -> String? {
    required(key).flatMap { parser.string($0, key) }
  }

  func integer(_ key: String, _ range: ClosedRange<Int64>) -> Int64? {
    values[key].flatMap { parser.integer($0, key, range) }
  }

  func boolean(_ key: String) -> Bool? { values[key].flatMap { parser.boolean($0, key) } }

  func duration(_ key: String, atLeast minimum: Duration = .zero) -> Duration? {
    values[key].flatMap { parser.duration($0, key, atLeast: minimum) }
  }

  func list(_ key: String) -> [Node] { values[key].map { parser.list($0, key) } ?? [] }

  /// A list that has to be there and to have an entry.
  func requiredList(_ key: String) -> [Node] {
    guard let node = required(key) else { return [] }
    if case .sequence(let sequence) = node, sequence.isEmpty {
      parser.problem(node, "`\(key)` needs at least one entry")
    }
    return parser.list(node, key)
  }

  /// One of a few words.
  func choice<Choice: RawRepresentable & CaseIterable>(
    _ key: String, default standard: Choice
  ) -> Choice where Choice.RawValue == String {
    guard let node = values[key], let text = parser.string(node, key) else { return standard }
    if let choice = Choice(rawValue: text) { return choice }
    parser.unknownWord(node, key, text, Choice.allCases.map(\.rawValue))
    return standard
  }
}
