import Foundation
import GRDB
import KafkaModel
import Testing

@testable import Journal

@Suite struct `The stored offset map` {
  let file: TemporaryJournal

  init() throws { file = try TemporaryJournal() }

  @Test(arguments: 0..<12 as Range<UInt64>)
  func `It equals a plain map under any appends, truncations and reopenings`(
    _ seed: UInt64
  ) throws {
    var random = SeededGenerator(seed: seed)
    var journal = try file.open()
    var lease = try journal.acquire()
    var partitions: [PartitionID] = []
    var expected: [PartitionID: OffsetMap] = [:]
    for number in 0..<3 as Range<Int32> {
      let place = TopicPartition("orders", number)
      partitions.append(
        try journal.registerPartition(source: place, target: place, lease: lease))
    }
    for _ in 0..<40 {
      switch Int.random(in: 0..<10, using: &random) {
      case 0:
        journal.release(lease)
        journal = try file.open()
        lease = try journal.acquire()
      case 1, 2:
        let partition = try #require(partitions.randomElement(using: &random))
        let role: ClusterRole = random.chance(50) ? .source : .target
        let last = expected[partition]?.end(on: role) ?? Offset(0)
        let back = random.chance(30) ? Double.random(in: 0...1, using: &random) : 0.99
        let end = Offset(Int64(Double(last.rawValue) * back) + (random.chance(10) ? 50 : 0))
        try journal.truncateMap(partition, to: end, on: role, lastDigest: nil, lease: lease)
        expected[partition]?.truncate(to: end, on: role)
      default:
        var checkpoints: [MapCheckpoint] = []
        for partition in partitions where random.chance(70) {
          let map = expected[partition] ?? OffsetMap()
          var segments = random.segments(
            .random(in: 1...(random.chance(20) ? 2500 : 20), using: &random),
            source: map.end(on: .source) ?? Offset(0), target: map.end(on: .target) ?? Offset(0))
          if random.chance(50), let source = map.end(on: .source), let target = map.end(on: .target)
          {
            segments.insert(
              OffsetSegment(
                sourceStart: source, targetStart: target,
                count: min(
                  segments[0].sourceStart - source, segments[0].targetStart - target)), at: 0)
            if segments[0].count == 0 { segments.removeFirst() }
          }
          for segment in segments { try expected[partition, default: OffsetMap()].append(segment) }
          checkpoints.append(MapCheckpoint(partition: partition, segments: segments))
        }
        try journal.appendMap(checkpoints, lease: lease)
      }
      let all = try journal.loadMaps()
      #expect(Set(all.keys) == Set(partitions))
      for partition in partitions {
        #expect(try journal.loadMap(partition).map == expected[partition] ?? OffsetMap())
        #expect(try journal.loadMap(partition) == all[partition])
      }
      let some = Set(partitions.prefix(2))
      #expect(try journal.loadMaps(some) == all.filter { some.contains($0.key) })
    }
    guard case .intact = try journal.verify() else {
      Issue.record("\(try journal.verify())")
      return
    }
  }

  @Test func `A map of 100,000 segments comes back, and stays small`() throws {
    let (journal, lease, partition) = try prepared()
    var random = SeededGenerator(seed: 4)
    var map = OffsetMap()
    for _ in 0..<10 {
      let segments = random.transactions(10_000, behind: map)
      for segment in segments { try map.append(segment) }
      try journal.appendMap(
        [MapCheckpoint(partition: partition, segments: segments)], lease: lease)
    }
    #expect(map.segments.count == 100_000)
    #expect(try journal.loadMap(partition).map == map)
    let bytes = try journal.queue.read { db in
      try Int.fetchOne(db, sql: "SELECT sum(pgsize) FROM dbstat WHERE name LIKE '%map_block%'")
        ?? 0
    }
    #expect(bytes < 200_000, "pages and all, two bytes a hole")
  }

  @Test func `A dense partition is one small row whatever its length`() throws {
    let (journal, lease, partition) = try prepared()
    for index in 0..<200 as Range<Int64> {
      let start = Offset(index << 32)
      try journal.appendMap(
        [
          MapCheckpoint(
            partition: partition,
            segments: [OffsetSegment(sourceStart: start, targetStart: start, count: 1 << 32)])
        ], lease: lease)
    }
    let sizes = try journal.queue.read { db in
      try Int.fetchAll(db, sql: "SELECT length(data) FROM map_block")
    }
    #expect(sizes.count == 1 && sizes[0] < 40, "\(sizes)")
    #expect(try journal.loadMap(partition).map.recordCount == 200 << 32)
  }

  @Test func `Digest and positions are kept for each direction`() throws {
    let (journal, lease, partition) = try prepared()
    let digest = RecordDigest(low: 0x0123_4567_89ab_cdef, high: .max - 1)
    try journal.appendMap(
      [
        MapCheckpoint(
          partition: partition, segments: [segment(10, 0, 5)], lastDigest: digest,
          originPosition: OriginPosition(direction: .forward, position: Offset(20)))
      ], lease: lease)
    try journal.appendMap(
      [
        MapCheckpoint(
          partition: partition, segments: [],
          originPosition: OriginPosition(direction: .reverse, position: Offset(7)))
      ], lease: lease)
    let stored = try journal.loadMap(partition)
    #expect(stored.lastDigest == digest)
    #expect(stored.positions == [.forward: Offset(20), .reverse: Offset(7)])
    let row = try #require(try file.open(.readOnly).partitions().first)
    #expect(row.mapEnd(on: .source) == Offset(15) && row.mapEnd(on: .target) == Offset(5))
    #expect(row.lastDigest == digest && row.positions == stored.positions)
    try journal.appendMap(
      [MapCheckpoint(partition: partition, segments: [segment(20, 5, 1)])], lease: lease)
    #expect(try journal.loadMap(partition).lastDigest == nil)
  }

  @Test func `A truncation goes back to where the forgotten records are read again`() throws {
    let (journal, lease, partition) = try prepared()
    let digest = RecordDigest(low: 1, high: 2)
    try journal.appendMap(
      [
        MapCheckpoint(
          partition: partition, segments: [segment(0, 0, 10), segment(15, 10, 10)],
          originPosition: OriginPosition(direction: .forward, position: Offset(40))),
        MapCheckpoint(
          partition: partition, segments: [],
          originPosition: OriginPosition(direction: .reverse, position: Offset(20))),
      ], lease: lease)
    for range in [Offset(0)..<Offset(12), Offset(12)..<Offset(30)] {
      try journal.recordValidated(
        partition: partition, sourceRange: range, records: 10, digest: .zero, lease: lease)
    }
    #expect(try journal.validatedUpTo(partition) == Offset(30))
    try journal.truncateMap(
      partition, to: Offset(25), on: .target, lastDigest: digest, lease: lease)
    #expect(try journal.loadMap(partition).positions[.forward] == Offset(40))
    try journal.truncateMap(
      partition, to: Offset(10), on: .target, lastDigest: digest, lease: lease)
    let stored = try journal.loadMap(partition)
    #expect(stored.map.segments == [segment(0, 0, 10)])
    #expect(stored.positions == [.forward: Offset(15), .reverse: Offset(10)])
    #expect(stored.lastDigest == digest)
    #expect(try journal.validatedUpTo(partition) == Offset(12))
  }

  @Test func `Ranges count as validated up to the first gap`() throws {
    let (journal, lease, partition) = try prepared()
    #expect(try journal.validatedUpTo(partition) == nil)
    for (range, end) in [(20..<30, 30), (5..<10, 10), (10..<12, 12), (8..<25, 30), (40..<50, 30)] {
      try journal.recordValidated(
        partition: partition,
        sourceRange: Offset(Int64(range.lowerBound))..<Offset(Int64(range.upperBound)),
        records: 3, digest: RecordDigest(low: 7, high: 8), lease: lease)
      #expect(try journal.validatedUpTo(partition) == Offset(Int64(end)))
      #expect(try journal.validatedUpTo() == [partition: Offset(Int64(end))])
    }
    #expect(try journal.validatedRanges(partition).map(\.digest.low) == [7, 7, 7, 7, 7])
  }

  @Test func `Partitions stay pinned to one another`() throws {
    let (journal, lease, partition) = try prepared()
    let (a, b) = (TopicPartition("orders", 0), TopicPartition("new.orders", 1))
    #expect(try journal.registerPartition(source: a, target: a, lease: lease) == partition)
    #expect(throws: JournalError.pinned(source: a, pinned: a, asked: b)) {
      try journal.registerPartition(source: a, target: b, lease: lease)
    }
    #expect(throws: JournalError.targetTaken(target: a, by: a)) {
      try journal.registerPartition(source: b, target: a, lease: lease)
    }
    let second = try journal.registerPartition(source: b, target: b, lease: lease)
    #expect(try journal.partitions().map(\.id) == [second, partition])
  }

  @Test func `A checkpoint that does not fit is refused with its whole batch`() throws {
    let (journal, lease, partition) = try prepared()
    let good = MapCheckpoint(partition: partition, segments: [segment(5, 5, 5)])
    try journal.appendMap([good], lease: lease)
    let next = MapCheckpoint(partition: partition, segments: [segment(10, 10, 5)])
    for bad in [
      segment(14, 20, 1), segment(20, 14, 1), segment(20, 20, 0), segment(20, 20, -1),
      segment(.max, .max, 1), segment(-1, -1, 50),
    ] {
      #expect(throws: JournalError.self) {
        try journal.appendMap(
          [next, MapCheckpoint(partition: partition, segments: [bad])], lease: lease)
      }
    }
    #expect(throws: JournalError.self) {
      try journal.appendMap(
        [next, MapCheckpoint(partition: PartitionID(rawValue: 9), segments: [])], lease: lease)
    }
    #expect(try journal.loadMap(partition).map.segments == good.segments)
  }

  @Test func `A damaged or missing block is found`() throws {
    let (journal, lease, partition) = try prepared()
    var random = SeededGenerator(seed: 9)
    try journal.appendMap(
      [
        MapCheckpoint(
          partition: partition, segments: random.transactions(5000, behind: OffsetMap()))
      ],
      lease: lease)
    let damages = [
      "UPDATE map_block SET data = x'01' WHERE number = 2",
      "UPDATE map_block SET data = (SELECT data FROM map_block WHERE number = 0) WHERE number = 2",
      "DELETE FROM map_block WHERE number = 1",
    ]
    for damage in damages {
      try file.tamper(damage)
      #expect(throws: JournalError.self) { try journal.loadMap(partition) }
      guard case .broken(nil, let what) = try journal.verify() else {
        Issue.record("passed: \(damage)")
        continue
      }
      #expect(what.contains("orders:0"))
    }
  }

  @Test func `One batch carries a thousand partitions`() throws {
    let journal = try file.open()
    let lease = try journal.acquire()
    var random = SeededGenerator(seed: 2)
    var maps: [PartitionID: OffsetMap] = [:]
    for number in 0..<1000 as Range<Int32> {
      let place = TopicPartition("orders", number)
      maps[try journal.registerPartition(source: place, target: place, lease: lease)] = OffsetMap()
    }
    for size in [500, 5, 5, 5] {
      let checkpoints = try maps.keys.sorted().map { id in
        let segments = random.transactions(size, behind: maps[id] ?? OffsetMap())
        for segment in segments { try maps[id]?.append(segment) }
        return MapCheckpoint(partition: id, segments: segments)
      }
      try journal.appendMap(checkpoints, lease: lease)
    }
    for (id, map) in maps { #expect(try journal.loadMap(id).map == map) }
  }

  private func prepared() throws -> (MigrationJournal, Lease, PartitionID) {
    let journal = try file.open()
    let lease = try journal.acquire()
    let place = TopicPartition("orders", 0)
    let partition = try journal.registerPartition(source: place, target: place, lease: lease)
    return (journal, lease, partition)
  }

  private func segment(_ source: Int64, _ target: Int64, _ count: Int64) -> OffsetSegment {
    OffsetSegment(sourceStart: Offset(source), targetStart: Offset(target), count: count)
  }
}

extension SeededGenerator {
  /// Transactions of 5 to 15 records, each with a marker behind it, onto a dense target.
  mutating func transactions(_ count: Int, behind map: OffsetMap) -> [OffsetSegment] {
    var source = (map.end(on: .source) ?? Offset(-1)) + 1
    var target = map.end(on: .target) ?? Offset(0)
    return (0..<count).map { _ in
      let count = Int64.random(in: 5...15, using: &self)
      defer { (source, target) = (source + count + 1, target + count) }
      return OffsetSegment(sourceStart: source, targetStart: target, count: count)
    }
  }
}
