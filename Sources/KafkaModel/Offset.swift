/// A position in one partition's log, as the broker numbers it. Not a count: see ``RecordCount``.
package struct Offset: RawRepresentable, Hashable, Comparable, Sendable, Codable {
  package var rawValue: Int64

  package init(rawValue: Int64) { self.rawValue = rawValue }
  package init(_ rawValue: Int64) { self.rawValue = rawValue }

  package static func < (lhs: Offset, rhs: Offset) -> Bool { lhs.rawValue < rhs.rawValue }

  /// The offset `count` positions later.
  package static func + (lhs: Offset, count: Int64) -> Offset { Offset(lhs.rawValue + count) }

  /// The number of positions (not of records: a log can have holes) from `rhs` up to `lhs`.
  package static func - (lhs: Offset, rhs: Offset) -> Int64 { lhs.rawValue - rhs.rawValue }
}

extension Offset: CustomStringConvertible {
  package var description: String { String(rawValue) }
}
