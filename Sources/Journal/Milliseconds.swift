import Foundation

/// Times are stored as whole milliseconds since 1970 UTC.
extension Date {
  init(milliseconds: Int64) { self.init(timeIntervalSince1970: Double(milliseconds) / 1000) }

  /// Times beyond the year 280,000,000 or not a number become 0.
  var milliseconds: Int64 { Int64(exactly: (timeIntervalSince1970 * 1000).rounded()) ?? 0 }
}

extension Duration {
  /// Whole milliseconds, rounded down, at most some 30 years.
  var milliseconds: Int64 {
    let seconds = min(components.seconds, 1_000_000_000)
    return seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
  }
}
