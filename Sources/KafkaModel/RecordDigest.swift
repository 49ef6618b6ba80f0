/// XXH3-128 of a record's canonical encoding, or of a chain of such digests. Tells records apart; it
/// is no protection against someone who forges them.
package struct RecordDigest: Hashable, Sendable, Codable {
  package var low: UInt64
  package var high: UInt64

  @inlinable package init(low: UInt64, high: UInt64) {
    self.low = low
    self.high = high
  }

  package static let zero = RecordDigest(low: 0, high: 0)
}

extension RecordDigest: CustomStringConvertible {
  /// 32 hexadecimal digits, the canonical (big-endian) form of XXH3-128.
  package var description: String { Self.hexadecimal(high) + Self.hexadecimal(low) }

  private static func hexadecimal(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
