import KafkaModel
import Offsets
import Testing

@Suite("Translating a group's commits")
struct GroupTranslationTests {
  private static let first = TopicPartition("orders", 0)
  private static let second = TopicPartition("orders", 1)
  private static let other = TopicPartition("payments", 0)

  /// 0-4 stand at 0-4; 5-6 were compacted away; 7-9 stand at 5-7.
  private static func source(
    _ partition: TopicPartition, start: Int64 = 0, end: Int64 = 8
  ) throws -> TranslationSource {
    var map = OffsetMap()
    try map.append(source: Offset(0), target: Offset(0), count: 5)
    try map.append(source: Offset(7), target: Offset(5), count: 3)
    return TranslationSource(
      map: map, source: partition,
      target: TopicPartition("new-\(partition.topic)", partition.partition),
      destinationStart: Offset(start), destinationEnd: Offset(end))
  }

  private static func translation(
    _ commits: [TopicPartition: Offset], _ policy: MissingCommitPolicy,
    _ direction: Direction = .forward
  ) throws -> GroupTranslation {
    GroupTranslation(
      group: "billing", commits: commits,
      partitions: TranslationTable(
        [try source(second, start: 2, end: 8), try source(first), try source(other)], direction),
      policy: policy)
  }

  @Test(
    "A commit moves to the first mirrored record at or after it",
    arguments: [(0, 0), (4, 4), (5, 5), (6, 5), (7, 5), (9, 7), (10, 8), (1000, 8)])
  func forward(commit: Int64, expected: Int64) throws {
    let translation = try Self.translation(
      [Self.first: Offset(commit), Self.second: Offset(0)], .error)
    #expect(translation.offsets[Self.first]?.origin == Offset(commit))
    #expect(translation.offsets[Self.first]?.destination == Offset(expected))
    #expect(translation.uncommitted.isEmpty)
  }

  @Test(
    "The way back is exact for every record", arguments: [(0, 0), (4, 4), (5, 7), (7, 9), (8, 10)])
  func backward(commit: Int64, expected: Int64) throws {
    let source = try Self.source(Self.first, end: 10)
    let back = GroupTranslation(
      group: "billing", commits: [source.target: Offset(commit)],
      partitions: TranslationTable([source], .reverse), policy: .error)
    #expect(back.offsets[Self.first]?.destination == Offset(expected))
    #expect(back.offsets[Self.first]?.origin == Offset(commit))
  }

  @Test("A partition without a commit is named, by its name on the origin")
  func missingIsAnError() throws {
    let translation = try Self.translation([Self.first: Offset(3)], .error)
    #expect(translation.uncommitted == [Self.second])
    #expect(translation.offsets[Self.second] == nil)
    let back = try Self.translation([TopicPartition("new-orders", 1): Offset(3)], .error, .reverse)
    #expect(back.uncommitted == [TopicPartition("new-orders", 0)])
  }

  @Test("A partition without a commit starts where the policy says")
  func missingIsChosen() throws {
    let earliest = try Self.translation([Self.first: Offset(3)], .earliest)
    #expect(earliest.offsets[Self.second]?.destination == Offset(2))
    #expect(earliest.offsets[Self.second]?.origin == .some(nil))
    let latest = try Self.translation([Self.first: Offset(3)], .latest)
    #expect(latest.offsets[Self.second]?.destination == Offset(8))
    #expect(latest.uncommitted.isEmpty)
  }

  @Test(
    "A topic that the group does not read is left alone",
    arguments: [
      MissingCommitPolicy.error, .earliest, .latest,
    ])
  func unreadTopic(policy: MissingCommitPolicy) throws {
    let translation = try Self.translation(
      [Self.first: Offset(3), Self.second: Offset(0)], policy)
    #expect(translation.offsets[Self.other] == nil)
    #expect(translation.uncommitted.isEmpty)
    #expect(try Self.translation([:], policy).offsets.isEmpty)
  }

  @Test("Offset 0 is a commit, not the lack of one")
  func zero() throws {
    let translation = try Self.translation(
      [Self.first: Offset(0), Self.second: Offset(0)], .latest)
    #expect(translation.offsets[Self.first]?.destination == Offset(0))
    #expect(translation.offsets[Self.second]?.destination == Offset(0))
  }

  /// 0-4 stand at 0-4 on both sides; others wrote 5 and 6 to the source; 5-7 of the target stand at 7-9
  /// there, and behind them others wrote 10.
  private static func strayed() throws -> TranslationSource {
    var map = OffsetMap()
    try map.append(source: Offset(0), target: Offset(0), count: 5)
    try map.append(source: Offset(7), target: Offset(5), count: 3)
    return TranslationSource(
      map: map, source: first, target: first, destinationStart: Offset(0),
      destinationEnd: Offset(11), strays: [Offset(5)..<Offset(7), Offset(10)..<Offset(11)])
  }

  @Test(
    "Whoever goes back reads the strays that lie before it, skips those that it has passed, and reads nothing twice",
    arguments: [
      (3, 3, 0), (4, 4, 0), (5, 5, 0), (6, 8, 2), (7, 9, 2), (8, 10, 2), (9, 10, 2),
    ])
  func strays(commit: Int64, expected: Int64, skipped: Int64) throws {
    let source = try Self.strayed()
    let place = source.translate(Offset(commit), .reverse)
    #expect(place == Offset(expected))
    let cost = source.cost(of: Offset(commit), at: place, .reverse)
    #expect(cost.reRead == 0 && cost.skipped == skipped)
  }

  /// 0-4 stand at 0-4 on both sides; others wrote 5, 6 and 8 to the source. 6 and 8 were copied to the target's 7
  /// and 8; its 5 stands at the source's 7, and its 6-8 at 9-11.
  @Test(
    "Whoever goes back reads a forwarded stray once, as its copy, unless it stands before an earlier stray",
    arguments: [
      // Before all: 6 and 8 are read, and their copies.
      (4, 4, 2, 0),
      // Right behind 5 and 6: the first has no copy, so both are read, and later 8.
      (5, 5, 2, 0),
      // Right behind 8, which comes as its copy; then before those, and behind them.
      (6, 9, 0, 1), (7, 10, 0, 1), (8, 11, 0, 1), (9, 12, 0, 1),
    ])
  func forwarded(commit: Int64, expected: Int64, reRead: Int64, skipped: Int64) throws {
    var map = OffsetMap()
    try map.append(source: Offset(0), target: Offset(0), count: 5)
    try map.append(source: Offset(7), target: Offset(5), count: 1)
    try map.append(source: Offset(9), target: Offset(6), count: 3)
    let source = TranslationSource(
      map: map, source: Self.first, target: Self.first, destinationStart: Offset(0),
      destinationEnd: Offset(12), strays: [Offset(5)..<Offset(6)],
      forwarded: [Offset(6)..<Offset(7), Offset(8)..<Offset(9)])
    let place = source.translate(Offset(commit), .reverse)
    #expect(place == Offset(expected))
    let cost = source.cost(of: Offset(commit), at: place, .reverse)
    #expect(cost.reRead == reRead && cost.skipped == skipped)
  }

  @Test("A place that is not exact costs what lies between")
  func cost() throws {
    let source = try Self.source(Self.first)
    for (commit, place, reRead, skipped) in [
      (3, 3, 0, 0), (3, 1, 2, 0), (3, 5, 0, 2), (9, 4, 3, 0), (4, 8, 0, 4), (5, 5, 0, 0),
      (12, 8, 0, 0), (12, 6, 2, 0),
    ] as [(Int64, Int64, Int64, Int64)] {
      let cost = source.cost(of: Offset(commit), at: Offset(place), .forward)
      #expect(cost.reRead == reRead && cost.skipped == skipped, "\(commit) at \(place)")
    }
  }

  @Test("Nothing mirrored yet: commits move to the destination's next position")
  func emptyMap() {
    let source = TranslationSource(
      map: OffsetMap(), source: Self.first, target: Self.first, destinationStart: Offset(0),
      destinationEnd: Offset(0))
    #expect(source.translate(Offset(41), .forward) == Offset(0))
  }
}
