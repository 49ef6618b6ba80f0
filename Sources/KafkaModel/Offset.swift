/// A position in one partition's log, as the broker numbers it.
package struct Offset: RawRepresentable, Hashable, Comparable, Sendable, Codable {
  package var rawValue: Int64

  @inlinable package init(rawValue: Int64) { self.rawValue = rawValue }
  @inlinable package init(_ rawValue: Int64) { self.rawValue = rawValue }

  @inlinable package static func < (lhs: Offset, rhs: Offset) -> Bool {
    lhs.rawValue < rhs.rawValue
  }

  /// The offset `count` positions later.
  @inlinable package static func + (lhs: Offset, count: Int64) -> Offset {
    Offset(lhs.rawValue + count)
  }

  /// The number of positions (not of records: a log can have holes) from `rhs` up to `lhs`.
  @inlinable package static func - (lhs: Offset, rhs: Offset) -> Int64 {
    lhs.rawValue - rhs.rawValue
  }
}

extension Offset: CustomStringConvertible {
  package var description: String { String(rawValue) }
}
