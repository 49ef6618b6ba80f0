package import KafkaModel

/// SplitMix64: the same records for the same seed, on every machine.
package struct RecordGenerator: RandomNumberGenerator {
  private var state: UInt64
  private var count: Int64 = 0

  package init(seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// Records of all shapes: null, empty and filled keys and values, headers of equal names. Each has a
  /// timestamp of its own, so that no two are equal.
  package mutating func records(_ count: Int, valueBytes: ClosedRange<Int> = 1...200) -> [Record] {
    (0..<count).map { _ in record(valueBytes) }
  }

  private mutating func record(_ valueBytes: ClosedRange<Int>) -> Record {
    count += 1
    let headers = (0..<Int.random(in: 0...3, using: &self)).map { _ in
      RecordHeader(
        ["a", "b", ""].randomElement(using: &self)!,
        nullable(0...8, using: .random(in: 0..<4, using: &self)))
    }
    return Record(
      key: nullable(0...12, using: .random(in: 0..<6, using: &self)),
      value: nullable(valueBytes, using: .random(in: 0..<20, using: &self)), headers: headers,
      timestamp: 1_700_000_000_000 + count)
  }

  /// Null for a die of 0, empty for 1.
  private mutating func nullable(_ count: ClosedRange<Int>, using die: Int) -> [UInt8]? {
    switch die {
    case 0: nil
    case 1: []
    default: bytes(.random(in: count, using: &self))
    }
  }

  private mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &self) }
  }
}
