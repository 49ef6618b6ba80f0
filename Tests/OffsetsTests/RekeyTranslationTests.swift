import KafkaModel
import Offsets
import Testing

@Suite("Translating commits of rekeyed topics")
struct RekeyTranslationTests {
  /// Numbers that come out the same with every run.
  private struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state ^ state >> 29
    }
  }

  /// A mirror of random rounds, and where each record stands.
  private struct Mirrored {
    var cuts: [RekeyCut]
    var places: [(source: (Int, Int64), target: (Int, Int64))] = []

    init(_ generator: inout Generator) {
      var source: [Int64] = [0, 0, 0]
      var target: [Int64] = [0, 0, 0, 0, 0]
      cuts = [Self.cut(0, .base, source, target, 0)]
      for number in 1...Int.random(in: 1...12, using: &generator) {
        var count: Int64 = 0
        for partition in source.indices {
          for _ in 0..<Int.random(in: 0...4, using: &generator) {
            let key = [UInt8.random(in: 0...255, using: &generator)]
            let place = Int(Murmur2.partition(of: key, from: Int32(partition), count: 5))
            places.append(((partition, source[partition]), (place, target[place])))
            // Transactions leave holes on the source.
            source[partition] += Int64.random(in: 1...2, using: &generator)
            target[place] += 1
            count += 1
          }
        }
        cuts.append(Self.cut(Int64(number), .forward, source, target, count))
      }
    }

    static func cut(
      _ number: Int64, _ kind: RekeyCut.Kind, _ source: [Int64], _ target: [Int64], _ count: Int64
    ) -> RekeyCut {
      RekeyCut(
        number: number, kind: kind, source: source.map { Offset($0) },
        target: target.map { Offset($0) }, records: count)
    }
  }

  private func translation(
    _ mirrored: Mirrored, _ commits: [Int64], _ direction: Direction
  ) -> (GroupTranslation, TranslationTable) {
    let topic = RekeyTranslation(source: "old", target: "new", cuts: mirrored.cuts)
    let table = TranslationTable([], direction, rekeyed: [topic])
    let name = direction == .forward ? "old" : "new"
    let pairs = commits.enumerated().map { (TopicPartition(name, Int32($0)), Offset($1)) }
    return (
      GroupTranslation(
        group: "g", commits: Dictionary(uniqueKeysWithValues: pairs), partitions: table,
        policy: .error), table
    )
  }

  @Test("Nothing is skipped and what is read again is counted", arguments: 0..<200)
  func random(seed: UInt64) {
    var generator = Generator(state: seed &+ 77)
    let mirrored = Mirrored(&generator)
    for direction in Direction.allCases {
      let ends = mirrored.cuts.last!.ends(on: direction.origin)
      let commits = ends.map { Int64.random(in: 0...$0.rawValue, using: &generator) }
      let (translation, table) = translation(mirrored, commits, direction)
      let places = translation.rekeyed["old"]!.cut.ends(on: direction.destination)
      var again: Int64 = 0
      for record in mirrored.places {
        let (here, there) =
          direction == .forward ? (record.source, record.target) : (record.target, record.source)
        let wasRead = here.1 < commits[here.0]
        let isToBeRead = Offset(there.1) >= places[there.0]
        #expect(wasRead || isToBeRead, "a record is skipped")
        if wasRead, isToBeRead { again += 1 }
      }
      #expect(table.cost(of: translation).reRead >= again)
      #expect(table.cost(of: translation).skipped == 0)
    }
  }

  @Test("A group that has read everything reads nothing again", arguments: 0..<50)
  func drained(seed: UInt64) {
    var generator = Generator(state: seed)
    let mirrored = Mirrored(&generator)
    for direction in Direction.allCases {
      let last = mirrored.cuts.last!
      let (translation, table) = translation(
        mirrored, last.ends(on: direction.origin).map(\.rawValue), direction)
      #expect(
        translation.rekeyed["old"]?.cut.ends(on: direction.destination)
          == last.ends(on: direction.destination))
      #expect(table.cost(of: translation).reRead == 0)
    }
  }

  @Test("A partition without a commit stops the group, unless the plan says what to do")
  func missing() {
    let cuts = [
      Mirrored.cut(0, .base, [0, 0], [0, 0, 0], 0),
      Mirrored.cut(1, .forward, [2, 1], [1, 1, 1], 3),
    ]
    let topic = RekeyTranslation(source: "old", target: "new", cuts: cuts)
    let table = TranslationTable([], .forward, rekeyed: [topic])
    func translate(_ policy: MissingCommitPolicy) -> GroupTranslation {
      GroupTranslation(
        group: "g", commits: [TopicPartition("old", 0): Offset(2)], partitions: table,
        policy: policy)
    }
    #expect(translate(.error).uncommitted == [TopicPartition("old", 1)])
    #expect(translate(.earliest).rekeyed["old"]?.cut.number == 0)
    #expect(translate(.latest).rekeyed["old"]?.cut.number == 1)
  }
}
