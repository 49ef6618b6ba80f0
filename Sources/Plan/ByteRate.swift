/// Rates as plans and commands write them: `50MiB/s`.
package enum ByteRate {
  static let units = Dictionary(
    uniqueKeysWithValues: Quantity.sizes.map { ("\($0.key)/s", $0.value) })
  /// 1024 TiB/s.
  static let limit: Int64 = 1 << 50

  /// Bytes a second, at least one; `nil` where `text` is no such rate.
  package static func bytesPerSecond(_ text: String) -> Int64? {
    guard let quantity = Quantity(text), let factor = units[String(quantity.unit)],
      let bytes = quantity.scaled(by: factor, limit: limit), bytes > 0
    else { return nil }
    return bytes
  }
}
