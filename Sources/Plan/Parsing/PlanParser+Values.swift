internal import Foundation
internal import Yams

extension PlanParser {
  /// Whether a key has nothing behind it, or YAML's null.
  static func isNull(_ node: Node) -> Bool {
    guard case .scalar(let scalar) = node, scalar.style == .plain else { return false }
    return ["", "~", "null", "Null", "NULL"].contains(scalar.string)
  }

  /// Any scalar but null: `change: 1042` is text as well.
  func string(_ node: Node, _ key: String, mayBeEmpty: Bool = false) -> String? {
    guard case .scalar(let scalar) = node, !Self.isNull(node),
      mayBeEmpty || !scalar.string.allSatisfy(\.isWhitespace)
    else {
      problem(node, "`\(key)` has to be text")
      return nil
    }
    return scalar.string
  }

  /// A name that can stand in file names and topic names.
  func name(_ node: Node, _ key: String) -> String? {
    guard let text = string(node, key) else { return nil }
    guard Self.isPlainName(text), text.utf8.count <= 200 else {
      problem(node, "`\(key)` may hold letters, digits, dots, dashes and underscores, 200 at most")
      return nil
    }
    return text
  }

  /// Whether there is nothing in `text` that a Kafka topic's name may not hold.
  static func isPlainName(_ text: String) -> Bool {
    text.unicodeScalars.allSatisfy {
      switch $0 {
      case "a"..."z", "A"..."Z", "0"..."9", ".", "_", "-": true
      default: false
      }
    }
  }

  func list(_ node: Node, _ key: String) -> [Node] {
    guard case .sequence(let sequence) = node else {
      problem(node, "`\(key)` has to be a list")
      return []
    }
    return Array(sequence)
  }

  /// - Parameter word: what may stand there instead of a number.
  func integer(
    _ node: Node, _ key: String, _ range: ClosedRange<Int64>, or word: String? = nil
  ) -> Int64? {
    let expected = "`\(key)` has to be \(word.map { "`\($0)` or " } ?? "")a whole number"
    guard case .scalar(let scalar) = node else {
      problem(node, expected)
      return nil
    }
    guard scalar.style == .plain, let value = Int64(scalar.string) else {
      let quoted = Int64(scalar.string) != nil ? " without quotes" : ", not `\(scalar.string)`"
      problem(node, expected + quoted)
      return nil
    }
    guard range.contains(value) else {
      let bound =
        value < range.lowerBound ? "at least \(range.lowerBound)" : "at most \(range.upperBound)"
      problem(node, "`\(key)` has to be \(bound), not \(value)")
      return nil
    }
    return value
  }

  func boolean(_ node: Node, _ key: String) -> Bool? {
    guard case .scalar(let scalar) = node, scalar.style == .plain,
      let value = Bool(scalar.string)
    else {
      problem(node, "`\(key)` has to be true or false")
      return nil
    }
    return value
  }

  /// `250ms`, `30s`, `1.5m`, `2h`, `1d`: ten years at most.
  func duration(_ node: Node, _ key: String, atLeast minimum: Duration = .zero) -> Duration? {
    let form = "a duration such as 250ms, 30s, 5m, 2h or 1d"
    let milliseconds = quantity(
      node, key, form, Quantity.durations, limit: 3650 * 86_400_000, "1ms and 3650d")
    guard let milliseconds else { return nil }
    guard .milliseconds(milliseconds) >= minimum else {
      problem(
        node,
        "`\(key)` has to be at least \(Int64(minimum / .milliseconds(1)))ms, not `\(node.scalar?.string ?? "")`"
      )
      return nil
    }
    return .milliseconds(milliseconds)
  }

  /// `512KiB`, `50MiB`, `1GiB`, `10MB`, `100B`, in bytes.
  func size(_ node: Node, _ key: String) -> Int64? {
    bytes(node, key, "a size such as 50MiB", Quantity.sizes, "1B and 1024TiB")
  }

  /// `50MiB/s`, in bytes per second.
  func rate(_ node: Node, _ key: String) -> Int64? {
    bytes(node, key, "a rate such as 50MiB/s", ByteRate.units, "1B/s and 1024TiB/s")
  }

  private func bytes(
    _ node: Node, _ key: String, _ form: String, _ units: [String: Int64], _ bounds: String
  ) -> Int64? {
    guard let bytes = quantity(node, key, form, units, limit: 1 << 50, bounds) else { return nil }
    if bytes == 0 { problem(node, "`\(key)` has to be more than nothing") }
    return bytes
  }

  private func quantity(
    _ node: Node, _ key: String, _ form: String, _ units: [String: Int64], limit: Int64,
    _ bounds: String
  ) -> Int64? {
    guard let text = node.scalar?.string else {
      problem(node, "`\(key)` has to be \(form)")
      return nil
    }
    guard let quantity = Quantity(text), let factor = units[String(quantity.unit)] else {
      let unit = Quantity(text).map { String($0.unit) } ?? ""
      let near = Spelling.suggestion(for: unit, in: unit.isEmpty ? [] : units.keys.sorted())
      problem(node, "`\(key)` has to be \(form), not `\(text)`\(near)")
      return nil
    }
    guard let value = quantity.scaled(by: factor, limit: limit) else {
      problem(node, "`\(key)` has to lie between \(bounds), not `\(text)`")
      return nil
    }
    return value
  }

  /// Names with scalar values, each with its place. Numbers become text as they are written.
  func strings(_ node: Node?, _ what: String) -> [String: (text: String, node: Node)] {
    guard let node else { return [:] }
    guard case .mapping(let mapping) = node else {
      problem(node, "`\(what)` has to be a mapping of names to values")
      return [:]
    }
    var values: [String: (text: String, node: Node)] = [:]
    for (key, value) in mapping {
      guard let name = key.scalar?.string, !name.isEmpty else {
        problem(key, "a name in `\(what)` has to be text")
        continue
      }
      if values[name] != nil { problem(key, "`\(what)` has `\(name)` twice") }
      guard case .scalar(let scalar) = value, !Self.isNull(value) else {
        problem(value, "`\(what)`: the value of `\(name)` has to be text or a number")
        continue
      }
      values[name] = (scalar.string, value)
    }
    return values
  }

  func unknownWord(_ node: Node, _ key: String, _ text: String, _ known: [String]) {
    problem(
      node,
      "`\(key)` is one of \(known.joined(separator: ", ")), not `\(text)`"
        + Spelling.suggestion(for: text, in: known))
  }
}
