import Kafka
import KafkaModel
import TestSupport
import Testing
import Validation

@Suite("Comparing two clusters", .serialized)
struct ComparatorTests {
  private static func numbered(_ count: Int) -> [Record] {
    (0..<count).map { index in
      Record(
        key: Array("key \(index)".utf8), value: Array("value \(index)".utf8),
        headers: [RecordHeader("header", [UInt8(truncatingIfNeeded: index)])],
        timestamp: 1_700_000_000_000 + Int64(index))
    }
  }

  private static func map(_ runs: [(source: Int64, target: Int64, count: Int64)]) throws
    -> OffsetMap
  {
    var map = OffsetMap()
    for run in runs {
      try map.append(source: Offset(run.source), target: Offset(run.target), count: run.count)
    }
    return map
  }

  /// Writes both sides and compares them; without `ranges`, all that was written.
  private func verdict(
    _ source: [Record], _ target: [Record], map: OffsetMap? = nil, isCompacted: Bool = false,
    ranges: (source: Range<Int64>, target: Range<Int64>)? = nil, budget: ReadBudget = ReadBudget()
  ) async throws -> Verdict {
    let sandbox = try await Sandbox.shared.value
    let left = TopicPartition(try await sandbox.topic(on: .source), 0)
    let right = TopicPartition(try await sandbox.topic(on: .target), 0)
    let connections = (await sandbox.connection(.source), await sandbox.connection(.target))
    try await RecordWriter(connections.0).write(source, to: left)
    try await RecordWriter(connections.1).write(target, to: right)
    let ranges = ranges ?? (0..<Int64(source.count), 0..<Int64(target.count))
    func offsets(_ range: Range<Int64>) -> Range<Offset> {
      Offset(range.lowerBound)..<Offset(range.upperBound)
    }
    return try await Comparator(
      source: connections.0, target: connections.1, budget: budget
    ).compare(
      ComparisonRange(
        source: left, target: right, sourceRange: offsets(ranges.source),
        targetRange: offsets(ranges.target), map: map, isCompacted: isCompacted))
  }

  @Test("Each side is read no faster than its budget allows", arguments: [false, true])
  func budget(isCompacted: Bool) async throws {
    // One reply may hold a whole range: then the next range waits until it is paid for.
    let records = (0..<30).map { index in
      Record(key: [UInt8(index)], value: .init(repeating: 7, count: 10_000), timestamp: 1)
    }
    let budget = ReadBudget(bytesPerSecond: 300_000)
    #expect(try await verdict(records, records, isCompacted: isCompacted, budget: budget).isEqual)
    let start = ContinuousClock.now
    #expect(try await verdict(records, records, isCompacted: isCompacted, budget: budget).isEqual)
    #expect(ContinuousClock.now - start > .milliseconds(500))
  }

  @Test("Equal sides are equal, with a map, by order and per key")
  func equal() async throws {
    var generator = RecordGenerator(seed: 1)
    let records = generator.records(3000)
    let mapped = try await verdict(records, records, map: Self.map([(0, 0, 3000)]))
    let ordered = try await verdict(records, records)
    #expect(mapped.isEqual && mapped.records == 3000)
    #expect(ordered.isEqual && ordered.records == 3000)
    #expect(mapped.digest == ordered.digest && mapped.digest != .zero)
    let keyed = Self.numbered(50)
    #expect(try await verdict(keyed, keyed, isCompacted: true).isEqual)
    #expect(try await verdict([], []).isEqual)
  }

  @Test("A missing record is named", arguments: [0, 3, 9])
  func missing(at index: Int) async throws {
    let records = Self.numbered(10)
    var target = records
    target.remove(at: index)
    let gap = Int64(index)
    let runs = [(0, 0, gap), (gap + 1, gap, 9 - gap)].filter { $0.2 > 0 }
    let expected = [Difference.missing(source: Offset(gap))]
    #expect(try await verdict(records, target, map: Self.map(runs)).differences == expected)
    #expect(try await verdict(records, target).differences == expected)
  }

  @Test("An extra record is named, a second copy of a record too", arguments: [0, 4, 10])
  func extra(at index: Int) async throws {
    let records = Self.numbered(10)
    let place = Int64(index)
    let runs = [(0, 0, place), (place, place + 1, 10 - place)].filter { $0.2 > 0 }
    var target = records
    target.insert(Record(key: nil, value: Array("foreign".utf8), timestamp: 7), at: index)
    let expected = [Difference.extra(target: Offset(place))]
    #expect(try await verdict(records, target, map: Self.map(runs)).differences == expected)
    #expect(try await verdict(records, target).differences == expected)
    target[index] = records[max(0, index - 1)]
    #expect(try await verdict(records, target, map: Self.map(runs)).differenceCount == 1)
    #expect(try await verdict(records, target).differenceCount == 1)
  }

  @Test("An altered record is named with the fields that differ")
  func altered() async throws {
    let records = Self.numbered(12)
    var target = records
    target[1].key = nil
    target[3].value = []
    target[5].headers[0].value = nil
    target[7].timestamp += 1
    target[9].headers.append(RecordHeader("header", [9]))
    target[9].key = []
    let mapped = try await verdict(records, target, map: Self.map([(0, 0, 12)]))
    func altered(_ offset: Int64, _ fields: [String]) -> Difference {
      .altered(source: Offset(offset), target: Offset(offset), fields: fields)
    }
    #expect(
      mapped.differences == [
        altered(1, ["key"]), altered(3, ["value"]), altered(5, ["headers"]),
        altered(7, ["timestamp"]), altered(9, ["key", "headers"]),
      ])
    let ordered = try await verdict(records, target)
    let places: [Int64] = [1, 3, 5, 7, 9]
    #expect(
      ordered.differences
        == places.map { .missing(source: Offset($0)) } + places.map { .extra(target: Offset($0)) })
  }

  @Test("Records in another order are reordered, not lost")
  func reordered() async throws {
    let records = Self.numbered(10)
    var target = records
    target.swapAt(3, 4)
    let mapped = try await verdict(records, target, map: Self.map([(0, 0, 10)]))
    #expect(
      mapped.differences == [
        .reordered(source: Offset(3), target: Offset(4)),
        .reordered(source: Offset(4), target: Offset(3)),
      ])
    #expect(
      try await verdict(records, target).differences
        == [.reordered(source: Offset(4), target: Offset(3))])
  }

  @Test("Compacted: the latest of each key counts, and a tombstone may be gone from one side")
  func compacted() async throws {
    func record(_ key: String, _ value: String?) -> Record {
      Record(key: Array(key.utf8), value: value.map { Array($0.utf8) }, timestamp: 5)
    }
    let source = [
      record("a", "old"), record("b", "1"), record("a", "new"), record("gone", "x"),
      record("gone", nil),
    ]
    #expect(
      try await verdict(source, [record("b", "1"), record("a", "new")], isCompacted: true).isEqual)
    #expect(
      try await verdict(
        [record("b", "1"), record("a", "new")], source, isCompacted: true
      ).isEqual)
    let wrong = try await verdict(
      source, [record("a", "old"), record("gone", "x"), record("extra", "y")], isCompacted: true)
    #expect(
      wrong.differences == [
        .missing(source: Offset(1)),
        .altered(source: Offset(2), target: Offset(0), fields: ["value"]),
        .altered(source: Offset(4), target: Offset(1), fields: ["value"]),
        .extra(target: Offset(2)),
      ])
  }

  @Test("Short ranges that are read together find what they find one by one")
  func batch() async throws {
    let sandbox = try await Sandbox.shared.value
    let connections = (await sandbox.connection(.source), await sandbox.connection(.target))
    let records = Self.numbered(40)
    var ranges: [ComparisonRange] = []
    for number in 0..<6 {
      let left = TopicPartition(try await sandbox.topic(on: .source), 0)
      let right = TopicPartition(try await sandbox.topic(on: .target), 0)
      var target = records
      switch number {
      case 1: target.remove(at: 30)
      case 2: target[20].value = []
      case 3: target.swapAt(25, 26)
      case 4: target.append(Record(key: nil, value: nil, timestamp: 1))
      default: break
      }
      try await RecordWriter(connections.0).write(records, to: left)
      try await RecordWriter(connections.1).write(target, to: right)
      let runs: [(Int64, Int64, Int64)] = number == 1 ? [(0, 0, 30), (31, 30, 9)] : [(0, 0, 40)]
      ranges.append(
        ComparisonRange(
          source: left, target: right, sourceRange: Offset(number == 5 ? 7 : 0)..<Offset(40),
          targetRange: Offset(number == 5 ? 7 : 0)..<Offset(Int64(target.count)),
          map: try Self.map(runs), isCompacted: false))
    }
    let batches = Comparator.batches(of: ranges)
    #expect(batches.map(\.count) == [6])
    let comparator = try Comparator(source: connections.0, target: connections.1)
    let together = try await comparator.compare(batch: batches[0])
    #expect(together.map(\.differenceCount) == [0, 1, 1, 2, 1, 0])
    for (range, verdict) in zip(ranges, together) {
      #expect(try await comparator.compare(range) == verdict)
    }
  }

  @Test("No batch holds a long range beside others, or a partition twice")
  func batches() {
    let partition = TopicPartition("orders", 0)
    func range(_ partition: TopicPartition, _ count: Int64) -> ComparisonRange {
      ComparisonRange(
        source: partition, target: partition, sourceRange: Offset(0)..<Offset(count),
        targetRange: Offset(0)..<Offset(1), map: nil, isCompacted: false)
    }
    let short = (0..<1200 as Range<Int32>).map { range(TopicPartition("few", $0), 1) }
    let batches = Comparator.batches(
      of: [range(partition, 9), range(TopicPartition("long", 0), 9000), range(partition, 9)] + short
    )
    #expect(batches.map(\.count).sorted() == [1, 1, 201, 500, 500])
    #expect(batches.allSatisfy { Set($0.map(\.source)).count == $0.count })
    #expect(batches.reduce(0) { $0 + $1.count } == 1203)
  }

  @Test("What arrives behind a fixed range raises no alarm")
  func fixedRange() async throws {
    let records = Self.numbered(20)
    let target = Array(records[..<12]) + [Record(key: nil, value: nil, timestamp: 1)]
    for map in [try Self.map([(0, 0, 12)]), nil] {
      let verdict = try await verdict(records, target, map: map, ranges: (2..<10, 2..<10))
      #expect(verdict.isEqual && verdict.records == 8)
    }
  }
}
