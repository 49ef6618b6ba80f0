import KafkaModel

/// A map and the plain table that it has to equal.
struct MapSample {
  struct Pair: Equatable {
    var source: Offset
    var target: Offset

    func offset(on role: ClusterRole) -> Offset { role == .source ? source : target }
  }

  private(set) var map = OffsetMap()
  private(set) var pairs: [Pair] = []

  /// Mostly dense, with holes on either side: compaction, markers, a client's own transactions.
  init(seed: Int, count: Int = 400) throws {
    var random = SeededGenerator(seed: seed)
    var source = Int64.random(in: 0...50, using: &random)
    var target = Int64.random(in: 0...50, using: &random)
    for _ in 0..<count {
      if Int.random(in: 0..<8, using: &random) == 0 {
        source += Int64.random(in: 0...3, using: &random)
      }
      if Int.random(in: 0..<12, using: &random) == 0 {
        target += Int64.random(in: 0...2, using: &random)
      }
      try map.append(source: Offset(source), target: Offset(target))
      pairs.append(Pair(source: Offset(source), target: Offset(target)))
      source += 1
      target += 1
    }
  }

  /// Every offset from before the first record to behind the last one.
  func offsets(on role: ClusterRole) -> [Offset] {
    (-2...pairs.last!.offset(on: role).rawValue + 5).map { Offset($0) }
  }

  /// A map of the pairs alone, added one by one.
  static func map(of pairs: [Pair]) throws -> OffsetMap {
    var map = OffsetMap()
    for pair in pairs { try map.append(source: pair.source, target: pair.target) }
    return map
  }
}

extension [OffsetSegment] {
  /// The segments' pairs, one by one.
  var pairs: [MapSample.Pair] {
    flatMap { segment in
      (0..<segment.count).map {
        MapSample.Pair(source: segment.sourceStart + $0, target: segment.targetStart + $0)
      }
    }
  }
}
