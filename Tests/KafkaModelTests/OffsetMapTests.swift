import KafkaModel
import Testing

/// SplitMix64: the same seed gives the same numbers everywhere.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }
}

/// A map and the plain list of pairs that it has to equal.
private struct Sample {
  var map = OffsetMap()
  var pairs: [(source: Int64, target: Int64)] = []

  init(seed: UInt64, count: Int = 400) throws {
    var random = SeededGenerator(seed: seed)
    var source = Int64.random(in: 0...50, using: &random)
    var target = Int64.random(in: 0...50, using: &random)
    for _ in 0..<count {
      // Mostly dense, with holes on either side: compaction, markers, a client's own transactions.
      if Int.random(in: 0..<8, using: &random) == 0 {
        source += Int64.random(in: 0...3, using: &random)
      }
      if Int.random(in: 0..<12, using: &random) == 0 {
        target += Int64.random(in: 0...2, using: &random)
      }
      try map.append(source: Offset(source), target: Offset(target))
      pairs.append((source, target))
      source += 1
      target += 1
    }
  }
}

@Suite("The offset map")
struct OffsetMapTests {
  @Test("Translation equals a plain table, both ways", arguments: 1...40)
  func equalsTable(_ seed: Int) throws {
    let sample = try Sample(seed: UInt64(seed))
    for offset in 0...(sample.pairs.last!.source + 5) {
      let expected = sample.pairs.first { $0.source >= offset }.map { Offset($0.target) }
      #expect(sample.map.translate(Offset(offset), from: .source) == expected)
      let isMirrored = sample.pairs.contains { $0.source == offset }
      #expect(sample.map.contains(Offset(offset), on: .source) == isMirrored)
    }
    for offset in 0...(sample.pairs.last!.target + 5) {
      let expected = sample.pairs.first { $0.target >= offset }.map { Offset($0.source) }
      #expect(sample.map.translate(Offset(offset), from: .target) == expected)
    }
    #expect(sample.map.recordCount == Int64(sample.pairs.count))
  }

  @Test(
    "Translation is monotone, and there and back is the identity on mirrored records",
    arguments: 1...20)
  func monotoneAndInverse(_ seed: Int) throws {
    let sample = try Sample(seed: UInt64(seed))
    var last = Offset(-1)
    for pair in sample.pairs {
      let there = try #require(sample.map.translate(Offset(pair.source), from: .source))
      #expect(there > last)
      last = there
      #expect(sample.map.translate(there, from: .target) == Offset(pair.source))
    }
  }

  @Test("Truncating equals never having had the pairs", arguments: 1...20)
  func truncation(_ seed: Int) throws {
    let sample = try Sample(seed: UInt64(seed))
    for role in ClusterRole.allCases {
      for cut in stride(from: 0, through: sample.pairs.last!.source + 3, by: 7) {
        var map = sample.map
        map.truncate(to: Offset(cut), on: role)
        var expected = OffsetMap()
        for pair in sample.pairs where (role == .source ? pair.source : pair.target) < cut {
          try expected.append(source: Offset(pair.source), target: Offset(pair.target))
        }
        #expect(map == expected)
      }
    }
  }

  @Test("A range holds exactly its pairs", arguments: 1...20)
  func ranges(_ seed: Int) throws {
    let sample = try Sample(seed: UInt64(seed))
    var random = SeededGenerator(seed: UInt64(seed) + 1000)
    for role in ClusterRole.allCases {
      let from = Int64.random(in: 0...200, using: &random)
      let range = Offset(from)..<Offset(from + Int64.random(in: 1...200, using: &random))
      let found = sample.map.pairs(in: range, on: role).flatMap { segment in
        (0..<segment.count).map { segment.sourceStart + $0 }
      }
      let expected = sample.pairs.filter {
        range.contains(Offset(role == .source ? $0.source : $0.target))
      }.map { Offset($0.source) }
      #expect(found == expected)
    }
  }

  @Test("A pair before the end of either log is refused and changes nothing")
  func refusesDisorder() throws {
    var map = OffsetMap()
    try map.append(source: Offset(10), target: Offset(5), count: 3)
    let before = map
    #expect(throws: OffsetMap.NotMonotone.self) {
      try map.append(source: Offset(12), target: Offset(8))
    }
    #expect(throws: OffsetMap.NotMonotone.self) {
      try map.append(source: Offset(13), target: Offset(7))
    }
    #expect(map == before)
    try map.append(source: Offset(13), target: Offset(8))
    #expect(map.segments.count == 1)
  }

  @Test("A dense partition is one segment, and an empty map knows nothing")
  func dense() throws {
    var map = OffsetMap()
    #expect(map.translate(Offset(0), from: .source) == nil && map.end(on: .target) == nil)
    for offset in 0..<10_000 {
      try map.append(source: Offset(Int64(offset)), target: Offset(Int64(offset)))
    }
    #expect(map.segments.count == 1 && map.end(on: .source) == Offset(10_000))
  }

  @Test("A digest prints as 32 digits")
  func digest() {
    #expect(RecordDigest(low: 1, high: 0xAB).description == "00000000000000ab0000000000000001")
  }
}
