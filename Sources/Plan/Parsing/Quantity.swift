/// A decimal number with a unit, such as `1.5s` or `50MiB/s`.
struct Quantity {
  /// The unit as written.
  let unit: Substring
  private let mantissa: Int64
  /// The number is the mantissa divided by this.
  private let divisor: Int64

  /// Returns `nil` where `text` does not begin with a decimal number of 15 digits or fewer.
  init?(_ text: String) {
    let isDigit = { (character: Character) in character.isASCII && character.isNumber }
    let whole = text.prefix(while: isDigit)
    var rest = text.dropFirst(whole.count)
    var fraction = Substring()
    if rest.first == "." {
      fraction = rest.dropFirst().prefix(while: isDigit)
      guard !fraction.isEmpty else { return nil }
      rest = rest.dropFirst(1 + fraction.count)
    }
    guard !whole.isEmpty, whole.count + fraction.count <= 15,
      let mantissa = Int64(whole + fraction)
    else { return nil }
    self.mantissa = mantissa
    divisor = fraction.reduce(1) { power, _ in power * 10 }
    unit = rest.drop(while: \.isWhitespace)
  }

  /// The quantity in units of which `factor` make one of its own, rounded; `nil` where it is more than
  /// `limit`, or where it is too small to be told from none.
  func scaled(by factor: Int64, limit: Int64) -> Int64? {
    let (high, low) = mantissa.multipliedFullWidth(by: factor)
    guard high == 0, low < UInt64(Int64.max) else { return nil }
    let value = (Int64(low) + divisor / 2) / divisor
    guard value <= limit, value > 0 || mantissa == 0 else { return nil }
    return value
  }

  /// Milliseconds in each unit of time.
  static let durations: [String: Int64] = [
    "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000,
  ]

  /// Bytes in each unit of size.
  static let sizes: [String: Int64] = [
    "B": 1, "kB": 1000, "KB": 1000, "MB": 1_000_000, "GB": 1_000_000_000, "TB": 1_000_000_000_000,
    "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
  ]
}
