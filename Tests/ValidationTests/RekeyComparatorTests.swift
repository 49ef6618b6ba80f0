import Kafka
import KafkaModel
import TestSupport
import Testing
import Validation

/// Both sides of a topic of two partitions on the source and three on the target, as a mirror would leave
/// them after two rounds; then something is changed on the target before it is written.
@Suite("Comparing rekeyed topics", .serialized)
struct RekeyComparatorTests {
  /// A record of the source, and of what is to stand on the target.
  private struct Place {
    let partition: Int
    let offset: Int64
    let record: Record
  }

  private static func record(_ number: Int) -> Record {
    Record(
      key: number % 5 == 0 ? nil : Array("key \(number % 7)".utf8),
      value: Array("value \(number)".utf8), headers: [RecordHeader("n", [UInt8(number % 250)])],
      timestamp: 1_700_000_000_000 + Int64(number))
  }

  /// By partition of the source, in the order of the offsets.
  private static let source: [[Record]] = [
    (0..<60).map { record(2 * $0) }, (0..<40).map { record(2 * $0 + 1) },
  ]
  /// Where the source's rounds end.
  private static let ends: [[Int64]] = [[0, 0], [25, 18], [60, 40]]

  /// What has to stand in each partition of the target, and where its rounds end.
  private static func dealt() -> (places: [[Place]], ends: [[Int64]]) {
    var places: [[Place]] = [[], [], []]
    var cuts: [[Int64]] = [[0, 0, 0]]
    for (start, end) in zip(ends, ends.dropFirst()) {
      for (number, records) in source.enumerated() {
        for offset in start[number]..<end[number] {
          let record = records[Int(offset)]
          let place = Murmur2.partition(of: record.key, from: Int32(number), count: 3)
          places[Int(place)].append(Place(partition: number, offset: offset, record: record))
        }
      }
      cuts.append(places.map { Int64($0.count) })
    }
    return (places, cuts)
  }

  /// What comparing finds, and the target's topic, once `change` was made to the target; cuts say what a
  /// mirror had written before.
  private func compare(
    _ direction: Direction = .forward, _ change: (inout [[Place]]) -> Void = { _ in }
  ) async throws -> (
    outcome: RekeyComparator.Outcome, found: [Difference], partitions: [TopicPartition]
  ) {
    let sandbox = try await Sandbox.shared.value
    let connections = (await sandbox.connection(.source), await sandbox.connection(.target))
    let (origin, destination) = (direction.origin, direction.destination)
    let names = [
      origin: try await sandbox.topic(on: origin, partitions: 2),
      destination: try await sandbox.topic(on: destination, partitions: 3),
    ]
    func write(_ records: [[Record]], _ role: ClusterRole) async throws {
      for (number, records) in records.enumerated() {
        try await RecordWriter(role == .source ? connections.0 : connections.1).write(
          records, to: TopicPartition(names[role]!, Int32(number)), patience: .seconds(60))
      }
    }
    var (places, ends) = Self.dealt()
    change(&places)
    // A changed partition ends elsewhere.
    ends[2] = places.map { Int64($0.count) }
    try await write(Self.source, origin)
    try await write(places.map { $0.map(\.record) }, destination)
    func offsets(_ numbers: [Int64]) -> [Offset] { numbers.map { Offset($0) } }
    let cuts = zip(Self.ends, ends).enumerated().map { number, ends in
      RekeyCut(
        number: Int64(number), kind: number == 0 ? .base : RekeyCut.Kind(direction),
        source: offsets(direction == .forward ? ends.0 : ends.1),
        target: offsets(direction == .forward ? ends.1 : ends.0), records: [0, 43, 57][number])
    }
    let outcome = try await RekeyComparator(source: connections.0, target: connections.1)
      .compare(names, cuts)
    return (
      outcome, outcome.verdicts.flatMap(\.differences),
      outcome.verdicts.map { direction == .forward ? $0.target : $0.source }
    )
  }

  @Test("What a mirror leaves is equal, both ways", arguments: Direction.allCases)
  func equal(direction: Direction) async throws {
    let (outcome, found, _) = try await compare(direction)
    #expect(found == [])
    #expect(outcome.records == 100 && outcome.dropped == 0)
  }

  /// A record in the second round of a partition that has some behind it there.
  private static func pick(_ partition: Int) -> (index: Int, place: Place) {
    let (places, ends) = dealt()
    let index = Int(ends[1][partition]) + 3
    return (index, places[partition][index])
  }

  @Test("A changed value is found, with its record", arguments: 0..<3, Direction.allCases)
  func changed(partition: Int, direction: Direction) async throws {
    let (index, place) = Self.pick(partition)
    let (_, found, _) = try await compare(direction) { places in
      var record = place.record
      record.value = Array("other".utf8)
      places[partition][index] = Place(partition: 0, offset: 0, record: record)
    }
    let here = Offset(place.offset)
    let there = Offset(Int64(index))
    #expect(
      Set(found)
        == (direction == .forward
          ? [.missing(source: here), .extra(target: there)]
          : [.missing(source: there), .extra(target: here)]))
    #expect(found.count == 2)
  }

  @Test("A missing record is found, and nothing else", arguments: 0..<3)
  func missing(partition: Int) async throws {
    let (index, place) = Self.pick(partition)
    let (outcome, found, _) = try await compare { $0[partition].remove(at: index) }
    #expect(found == [.missing(source: Offset(place.offset))])
    #expect(outcome.verdicts.map(\.source.partition) == [Int32(place.partition)])
    #expect(outcome.verdicts.map(\.target.partition) == [Int32(partition)])
  }

  @Test("An extra record is found, a second copy of one too", arguments: [false, true])
  func extra(isCopy: Bool) async throws {
    let (index, place) = Self.pick(1)
    let record = isCopy ? place.record : Self.record(777)
    let (_, found, partitions) = try await compare {
      $0[1].insert(Place(partition: 0, offset: 0, record: record), at: index + (isCopy ? 1 : 0))
    }
    #expect(found == [.extra(target: Offset(Int64(index + (isCopy ? 1 : 0))))])
    #expect(partitions.map(\.partition) == [1])
  }

  @Test("Two swapped records of one key are found", arguments: [1, 2])
  func swapped(distance: Int) async throws {
    let (places, ends) = Self.dealt()
    // Of one key, and `distance` records of that key apart.
    let partition = places.indices.max { places[$0].count < places[$1].count }!
    let first = Int(ends[1][partition])
    let key = places[partition][first...].compactMap(\.record.key).first!
    let indexes = places[partition].indices.filter {
      $0 >= first && places[partition][$0].record.key == key
    }
    let (left, right) = (indexes[0], indexes[distance])
    var swapped = places[partition]
    swapped.swapAt(left, right)
    let (outcome, found, _) = try await compare { $0[partition] = swapped }
    #expect(Set(outcome.verdicts.map(\.target.partition)) == [Int32(partition)])
    // One of the two at least: which of three in the reverse order have moved, who knows.
    let moved = Set(
      [left, right].map { index in
        Difference.reordered(
          source: Offset(swapped[index].offset), target: Offset(Int64(index)))
      })
    #expect(!moved.isDisjoint(with: found))
    for difference in found {
      guard case .reordered(let source, let target) = difference else {
        Issue.record("\(difference)")
        continue
      }
      #expect((left...right).contains(Int(target.rawValue)))
      #expect(source == Offset(swapped[Int(target.rawValue)].offset))
    }
  }

  @Test("A record in the wrong partition is found where it is missing and where it is too much")
  func misplaced() async throws {
    let (index, place) = Self.pick(2)
    let (outcome, _, _) = try await compare {
      $0[0].append($0[2].remove(at: index))
    }
    let end = Self.dealt().ends[2][0]
    #expect(Set(outcome.verdicts.map(\.target.partition)) == [0, 2])
    for verdict in outcome.verdicts {
      #expect(
        verdict.differences
          == (verdict.target.partition == 0
            ? [.extra(target: Offset(end))] : [.missing(source: Offset(place.offset))]))
    }
  }
}
