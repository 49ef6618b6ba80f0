import KafkaModel

/// SplitMix64: the same seed gives the same run.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }

  /// Segments as mirrors make them, behind (`source`, `target`): mostly small holes on one side, some
  /// on the other or on both, a few of any size.
  mutating func segments(
    _ count: Int, source: Offset = Offset(0), target: Offset = Offset(0)
  ) -> [OffsetSegment] {
    var segments: [OffsetSegment] = []
    var (source, target) = (source, target)
    let habit = Int64.random(in: 1...40, using: &self)
    let width: Int64 = chance(5) ? 1 << 40 : 12
    for _ in 0..<count {
      let both = chance(10)
      let onTarget = both || chance(10)
      source = source + (both || !onTarget ? .random(in: 1...width, using: &self) : 0)
      target = target + (onTarget ? .random(in: 1...width, using: &self) : 0)
      let count = chance(50) ? habit : .random(in: 1...(chance(3) ? 1 << 30 : 300), using: &self)
      segments.append(OffsetSegment(sourceStart: source, targetStart: target, count: count))
      source = source + count
      target = target + count
    }
    return segments
  }
}
