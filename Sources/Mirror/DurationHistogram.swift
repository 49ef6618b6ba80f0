/// Counts durations in classes an eighth of a power of two wide, from a nanosecond to centuries.
package struct DurationHistogram: Sendable {
  /// Up to 15 ns each class holds one value.
  private var counts: [Int] = Array(repeating: 0, count: 8 * 64)
  package private(set) var count = 0
  /// Nanoseconds, exact.
  package private(set) var max: UInt64 = 0

  package init() {}

  package mutating func add(_ nanoseconds: UInt64) {
    counts[Self.index(nanoseconds)] += 1
    count += 1
    max = Swift.max(max, nanoseconds)
  }

  mutating func add(_ other: DurationHistogram) {
    guard other.count > 0 else { return }
    for index in counts.indices { counts[index] += other.counts[index] }
    count += other.count
    max = Swift.max(max, other.max)
  }

  mutating func removeAll() {
    guard count > 0 else { return }
    for index in counts.indices { counts[index] = 0 }
    count = 0
    max = 0
  }

  /// The duration, in nanoseconds, that a share of all did not exceed: the upper edge of its class, so
  /// at most an eighth too long. `nil` where there are none.
  package func quantile(_ share: Double) -> UInt64? {
    guard count > 0 else { return nil }
    var left = Swift.max(1, Int((Double(count) * share).rounded(.up)))
    for index in counts.indices {
      left -= counts[index]
      if left <= 0 { return min(max, Self.upperEdge(index)) }
    }
    return max
  }

  private static func index(_ value: UInt64) -> Int {
    guard value >= 8 else { return Int(value) }
    let power = 63 - value.leadingZeroBitCount
    return (power - 2) * 8 + Int((value >> UInt64(power - 3)) & 7)
  }

  private static func upperEdge(_ index: Int) -> UInt64 {
    guard index >= 8 else { return UInt64(index) }
    let power = UInt64(index / 8 + 2)
    // Wraps around to the largest number in the last class.
    return (UInt64(8 + index % 8 + 1) << (power - 3)) &- 1
  }
}
