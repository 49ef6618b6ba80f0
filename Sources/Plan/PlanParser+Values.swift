internal import Yams

extension PlanParser {
  func string(_ node: Node, _ key: String) -> String? {
    guard case .scalar(let scalar) = node, !scalar.string.isEmpty else {
      problem(node, "`\(key)` has to be text")
      return nil
    }
    return scalar.string
  }

  func list(_ node: Node, _ key: String) -> [Node] {
    guard case .sequence(let sequence) = node else {
      problem(node, "`\(key)` has to be a list")
      return []
    }
    return Array(sequence)
  }

  func integer(_ node: Node, _ key: String, atLeast minimum: Int64) -> Int64? {
    guard let text = node.scalar?.string, let value = Int64(text) else {
      problem(node, "`\(key)` has to be a whole number")
      return nil
    }
    guard value >= minimum else {
      problem(node, "`\(key)` has to be at least \(minimum), not \(value)")
      return nil
    }
    return value
  }

  /// `250ms`, `30s`, `1.5m`, `2h`, `1d`.
  func duration(_ node: Node, _ key: String) -> Duration? {
    let units: [String: Double] = [
      "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000,
    ]
    guard let (number, unit) = quantity(node), let factor = units[unit] else {
      problem(node, "`\(key)` has to be a duration such as 250ms, 30s, 5m, 2h or 1d")
      return nil
    }
    return .milliseconds(Int64((number * factor).rounded()))
  }

  /// `512KiB`, `50MiB`, `1GiB`, `10MB`, `100B`.
  func size(_ node: Node, _ key: String, suffix: String = "") -> Int64? {
    let units: [String: Double] = [
      "B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
      "KiB": 1024, "MiB": 1_048_576, "GiB": 1_073_741_824, "TiB": 1_099_511_627_776,
    ]
    guard let (number, unit) = quantity(node), unit.hasSuffix(suffix),
      let factor = units[String(unit.dropLast(suffix.count))], number > 0
    else {
      problem(
        node, "`\(key)` has to be a \(suffix.isEmpty ? "size" : "rate") such as 50MiB\(suffix)")
      return nil
    }
    return Int64((number * factor).rounded())
  }

  private func quantity(_ node: Node) -> (number: Double, unit: String)? {
    guard let text = node.scalar?.string else { return nil }
    let digits = text.prefix { $0.isNumber || $0 == "." }
    guard let number = Double(digits), number.isFinite, number < 1e15 else { return nil }
    return (
      number, String(text.dropFirst(digits.count)).trimmingPrefix(while: \.isWhitespace).description
    )
  }

  func strings(_ node: Node?, _ what: String) -> [String: String] {
    guard let node else { return [:] }
    guard case .mapping(let mapping) = node else {
      problem(node, "`\(what)` has to be a mapping of names to values")
      return [:]
    }
    var values: [String: String] = [:]
    for (key, value) in mapping {
      guard let name = key.string, case .scalar(let scalar) = value else {
        problem(value, "`\(what)`: values have to be plain text or numbers")
        continue
      }
      values[name] = scalar.string
    }
    return values
  }

  /// A string in a stage's list: an anchored pattern, checked.
  func pattern(_ node: Node, _ key: String) -> Selector? {
    guard let text = string(node, key) else { return nil }
    do {
      _ = try Regex(text)
      return .match(text)
    } catch {
      problem(node, "`\(text)` is not a regular expression: \(error)")
      return nil
    }
  }

  func hook(_ node: Node?, _ what: String) -> Hook? {
    guard
      let reader = MappingReader(
        node, self, what: "`\(what)`", keys: ["exec", "http", "manual", "timeout", "acl"])
    else { return nil }
    let given = ["exec", "http", "manual", "acl"].filter { reader[$0] != nil }
    guard given.count == 1 else {
      problem(node!, "`\(what)` needs exactly one of exec, http, manual")
      return nil
    }
    let timeout = reader.duration("timeout") ?? .seconds(60)
    if let list = reader["exec"] {
      let arguments = self.list(list, "exec").compactMap { string($0, "exec") }
      guard !arguments.isEmpty else {
        problem(list, "`exec` needs a program")
        return nil
      }
      return Hook(action: .exec(arguments), timeout: timeout)
    }
    if reader["manual"] != nil {
      return reader.string("manual").map { Hook(action: .manual($0), timeout: timeout) }
    }
    if let acl = reader["acl"] {
      problem(acl, "`acl` fences are not supported yet: use exec, http or manual")
      return nil
    }
    return http(reader["http"], timeout)
  }

  private func http(_ node: Node?, _ timeout: Duration) -> Hook? {
    let methods = ["get", "post", "put", "patch", "delete"]
    guard
      let reader = MappingReader(node, self, what: "`http`", keys: methods + ["expect", "body"])
    else { return nil }
    let given = methods.filter { reader[$0] != nil }
    guard given.count == 1, let url = reader.string(given[0]) else {
      problem(node!, "`http` needs exactly one of \(methods.joined(separator: ", ")) with a URL")
      return nil
    }
    guard url.hasPrefix("http://") || url.hasPrefix("https://") else {
      problem(reader[given[0]]!, "`\(url)` is not an http or https URL")
      return nil
    }
    return Hook(
      action: .http(
        method: given[0].uppercased(), url: url, body: reader.string("body"),
        expect: Int(reader.integer("expect", atLeast: 100) ?? 200)),
      timeout: timeout)
  }
}
