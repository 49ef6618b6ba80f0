import KafkaModel
import Testing

@Suite("The offset map")
struct OffsetMapTests {
  @Test("Translation equals a plain table, both ways", arguments: 1...40)
  func equalsTable(_ seed: Int) throws {
    let sample = try MapSample(seed: seed)
    for role in ClusterRole.allCases {
      for offset in sample.offsets(on: role) {
        let next = sample.pairs.first { $0.offset(on: role) >= offset }
        #expect(sample.map.translate(offset, from: role) == next?.offset(on: role.opposite))
        let isMirrored = next?.offset(on: role) == offset
        #expect(sample.map.contains(offset, on: role) == isMirrored)
      }
      #expect(sample.map.end(on: role) == sample.pairs.last!.offset(on: role) + 1)
    }
    #expect(sample.map.recordCount == Int64(sample.pairs.count))
  }

  @Test("Translation never goes backwards, holes included", arguments: 1...20)
  func monotone(_ seed: Int) throws {
    let sample = try MapSample(seed: seed)
    for role in ClusterRole.allCases {
      let translated = sample.offsets(on: role).map { sample.map.translate($0, from: role) }
      let known = translated.compactMap(\.self)
      #expect(zip(known, known.dropFirst()).allSatisfy { $0 <= $1 })
      // What is not mirrored yet lies behind all that is.
      #expect(translated.drop { $0 != nil }.allSatisfy { $0 == nil })
    }
  }

  @Test("There and back is the identity on mirrored records, and skips holes", arguments: 1...20)
  func inverse(_ seed: Int) throws {
    let sample = try MapSample(seed: seed)
    for role in ClusterRole.allCases {
      for offset in sample.offsets(on: role) {
        guard let there = sample.map.translate(offset, from: role) else { continue }
        let back = try #require(sample.map.translate(there, from: role.opposite))
        #expect(sample.map.contains(offset, on: role) ? back == offset : back > offset)
      }
    }
  }

  @Test("Segments are maximal and ascend on both sides", arguments: 1...20)
  func segmentsAreMaximal(_ seed: Int) throws {
    let sample = try MapSample(seed: seed)
    let segments = sample.map.segments
    #expect(segments.pairs == sample.pairs)
    for (left, right) in zip(segments, segments.dropFirst()) {
      #expect(left.sourceEnd <= right.sourceStart && left.targetEnd <= right.targetStart)
      #expect(left.sourceEnd != right.sourceStart || left.targetEnd != right.targetStart)
    }
    #expect(segments.allSatisfy { $0.count > 0 })
  }

  @Test("However runs are cut up, the map is the same", arguments: 1...20)
  func runsAndSinglePairs(_ seed: Int) throws {
    let sample = try MapSample(seed: seed)
    var random = SeededGenerator(seed: seed + 1000)
    var map = OffsetMap()
    for var segment in sample.map.segments {
      while segment.count > 0 {
        let count = Int64.random(in: 1...segment.count, using: &random)
        try map.append(
          OffsetSegment(
            sourceStart: segment.sourceStart, targetStart: segment.targetStart, count: count))
        segment.sourceStart = segment.sourceStart + count
        segment.targetStart = segment.targetStart + count
        segment.count -= count
      }
    }
    #expect(map == sample.map)
  }

  @Test("Truncating equals never having had the pairs", arguments: 1...20)
  func truncation(_ seed: Int) throws {
    let sample = try MapSample(seed: seed)
    for role in ClusterRole.allCases {
      for cut in sample.offsets(on: role) where cut.rawValue % 3 == 0 {
        var map = sample.map
        map.truncate(to: cut, on: role)
        let kept = sample.pairs.filter { $0.offset(on: role) < cut }
        #expect(try map == MapSample.map(of: kept))
      }
    }
  }

  @Test("A range holds exactly its pairs, on both sides", arguments: 1...20)
  func ranges(_ seed: Int) throws {
    let sample = try MapSample(seed: seed)
    var random = SeededGenerator(seed: seed + 2000)
    for role in ClusterRole.allCases {
      let offsets = sample.offsets(on: role)
      for _ in 0..<50 {
        let bounds = [
          offsets.randomElement(using: &random)!, offsets.randomElement(using: &random)!,
        ]
        let range = bounds.min()!..<bounds.max()!
        let found = sample.map.pairs(in: range, on: role)
        #expect(found.pairs == sample.pairs.filter { range.contains($0.offset(on: role)) })
        #expect(found.allSatisfy { $0.count > 0 })
      }
    }
  }

  @Test("An empty range holds nothing, wherever it lies")
  func emptyRange() throws {
    var map = OffsetMap()
    try map.append(source: Offset(10), target: Offset(0), count: 10)
    for offset in [0, 10, 15, 19, 20, 30].map({ Offset($0) }) {
      #expect(map.pairs(in: offset..<offset, on: .source) == [])
    }
  }

  @Test("A pair before the end of either log is refused and changes nothing", arguments: 1...20)
  func refusesDisorder(_ seed: Int) throws {
    let sample = try MapSample(seed: seed)
    var random = SeededGenerator(seed: seed + 3000)
    var map = sample.map
    let source = map.end(on: .source)!
    let target = map.end(on: .target)!
    for _ in 0..<50 {
      let early = -Int64.random(in: 1...source.rawValue, using: &random)
      let other = Int64.random(in: -20...20, using: &random)
      for (source, target) in [(source + early, target + other), (source + other, target + early)] {
        let error = #expect(throws: OffsetMap.NotMonotone.self) {
          try map.append(source: source, target: target)
        }
        #expect(error?.source == source && error?.target == target)
        #expect(map == sample.map)
      }
    }
    try map.append(source: source, target: target)
    #expect(map.segments.count == sample.map.segments.count)
  }

  @Test("A run of no records is refused and changes nothing", arguments: [0, -1])
  func refusesEmptyRuns(_ count: Int64) throws {
    var map = OffsetMap()
    for end in 0...1 {
      let before = map
      #expect(throws: OffsetMap.NotMonotone.self) {
        try map.append(source: Offset(7), target: Offset(7), count: count)
      }
      #expect(map == before)
      if end == 0 { try map.append(source: Offset(0), target: Offset(0)) }
    }
  }

  @Test("A dense partition is one segment")
  func dense() throws {
    var map = OffsetMap()
    for offset in 0..<10_000 {
      try map.append(source: Offset(Int64(offset)), target: Offset(Int64(offset)))
    }
    #expect(map.segments.count == 1 && map.end(on: .source) == Offset(10_000))
  }

  @Test("An empty map knows nothing", arguments: ClusterRole.allCases)
  func empty(_ role: ClusterRole) {
    var map = OffsetMap()
    map.truncate(to: Offset(0), on: role)
    #expect(map.segments == [] && map.end(on: role) == nil && map.recordCount == 0)
    #expect(map.translate(Offset(0), from: role) == nil)
    #expect(!map.contains(Offset(0), on: role))
    #expect(map.pairs(in: Offset(0)..<Offset(9), on: role) == [])
  }

  @Test("Gaps are where no mirrored record stands, on either log")
  func gaps() throws {
    var map = OffsetMap()
    #expect(map.gaps(in: Offset(2)..<Offset(4), on: .source) == [Offset(2)..<Offset(4)])
    try map.append(source: Offset(3), target: Offset(0), count: 2)
    try map.append(source: Offset(8), target: Offset(2), count: 1)
    #expect(
      map.gaps(in: Offset(0)..<Offset(12), on: .source) == [
        Offset(0)..<Offset(3), Offset(5)..<Offset(8), Offset(9)..<Offset(12),
      ])
    #expect(map.gaps(in: Offset(4)..<Offset(6), on: .source) == [Offset(5)..<Offset(6)])
    #expect(map.gaps(in: Offset(0)..<Offset(3), on: .target).isEmpty)
    #expect(map.gaps(in: Offset(3)..<Offset(3), on: .target).isEmpty)
  }
}
