import Kafka
import KafkaModel
import Mirror
import TestSupport
import Testing

/// A mirror's unnoted tail, and what two cleaners leave of it.
private struct Sample {
  struct Written: Hashable {
    let origin: Offset
    let destination: Offset
  }

  var origin: [PartitionReader.Keyed] = []
  var destination: [PartitionReader.Keyed] = []
  /// All that the mirror wrote, before any cleaning.
  var written: [Written] = []
  let tail: Range<Offset>
  let position = Offset(100)
  let originEnd: Offset

  /// The origin's records from its 100th offset on, with holes; the first `mirrored` of them stand on
  /// the destination from its 40th on.
  init(_ generator: inout RecordGenerator, keys: Int, records: Int, mirrored: Int, dirty: Int) {
    let hasher = RecordHasher()
    var here = Offset(100)
    for (index, drawn) in generator.records(records).enumerated() {
      if Int.random(in: 0..<4, using: &generator) == 0 { here = here + 1 }
      let key: [UInt8] = [UInt8.random(in: 0..<UInt8(keys), using: &generator)]
      let record = Record(
        key: key, value: drawn.value, headers: drawn.headers, timestamp: drawn.timestamp)
      func kept(_ offset: Offset) -> PartitionReader.Keyed {
        PartitionReader.Keyed(
          record: .init(offset: offset, digest: hasher.digest(record)), key: key,
          isTombstone: record.value == nil)
      }
      origin.append(kept(here))
      if index < mirrored {
        let there = Offset(40 + Int64(index))
        destination.append(kept(there))
        written.append(Written(origin: here, destination: there))
      }
      here = here + 1
    }
    tail = Offset(40)..<Offset(40 + Int64(mirrored))
    originEnd = here
    clean(\.origin, &generator, dirty)
    clean(\.destination, &generator, dirty)
  }

  /// What a cleaner leaves that got to some place: up to there the latest record of each key.
  private mutating func clean(
    _ log: WritableKeyPath<Sample, [PartitionReader.Keyed]>, _ generator: inout RecordGenerator,
    _ dirty: Int
  ) {
    let records = self[keyPath: log]
    let end = max(0, records.count - 1 - Int.random(in: 0...dirty, using: &generator))
    var seen: Set<[UInt8]?> = []
    var kept: [PartitionReader.Keyed] = []
    for record in records[..<end].reversed() where seen.insert(record.key).inserted {
      kept.append(record)
    }
    self[keyPath: log] = kept.reversed() + records[end...]
  }

  func explained(
    written: [PartitionReader.Keyed]? = nil, in tail: Range<Offset>? = nil,
    _ compaction: CompactedTail.Compaction = .init(origin: true, destination: true)
  ) -> CompactedTail? {
    let tail = tail ?? self.tail
    let count = Int(tail.upperBound.rawValue - tail.lowerBound.rawValue)
    return CompactedTail(
      written: written ?? destination, in: tail,
      read: origin.map(\.record).prefix(count + 1).map(\.self),
      from: position, originEnd: originEnd, compaction: compaction)
  }
}

@Suite("A tail that was compacted before it was noted")
struct CompactedTailTests {
  @Test("It is explained: what stands on both logs is paired, and mirroring goes on where it ended")
  func explained() throws {
    for seed in 0..<600 {
      var generator = RecordGenerator(seed: UInt64(seed))
      let records = Int.random(in: 1...60, using: &generator)
      let mirrored = Int.random(in: 1...records, using: &generator)
      let sample = Sample(
        &generator, keys: Int.random(in: 1...20, using: &generator), records: records,
        mirrored: mirrored, dirty: Int.random(in: 0...60, using: &generator))
      let found = try #require(sample.explained(), "seed \(seed)")
      var map = OffsetMap()
      for run in found.runs {
        try map.append(source: run.origin, target: run.destination, count: run.count)
      }
      #expect(map.gaps(in: sample.tail, on: .target) == [], "seed \(seed)")
      let originLeft = Set(sample.origin.map(\.record.offset))
      let destinationLeft = Set(sample.destination.map(\.record.offset))
      for pair in sample.written where originLeft.contains(pair.origin) {
        guard destinationLeft.contains(pair.destination) else { continue }
        #expect(map.translate(pair.origin, from: .source) == pair.destination, "seed \(seed)")
        #expect(map.translate(pair.destination, from: .target) == pair.origin, "seed \(seed)")
      }
      // The first record of the origin that has yet to be mirrored, and none before it.
      let last = sample.written[mirrored - 1].origin
      let unwritten = sample.origin.map(\.record.offset).filter { $0 > last }
      let unread = sample.origin.map(\.record.offset).filter { $0 >= found.position }
      #expect(unread == unwritten, "seed \(seed)")
      // Whoever has read a record on the origin does not get it again on the destination.
      for pair in sample.written {
        let next = map.translate(pair.origin + 1, from: .source) ?? sample.tail.upperBound
        #expect(next > pair.destination, "seed \(seed)")
      }
    }
  }

  @Test("A record that the mirror cannot have written is not explained")
  func foreign() {
    var refused = 0
    for seed in 0..<300 {
      var generator = RecordGenerator(seed: UInt64(1000 + seed))
      // Nothing is missing on the origin, so no record can be an orphan.
      var sample = Sample(&generator, keys: 250, records: 30, mirrored: 20, dirty: 60)
      guard sample.origin.count == 30 else { continue }
      sample.destination.append(
        PartitionReader.Keyed(
          record: .init(
            offset: sample.tail.upperBound,
            digest: RecordHasher().digest(generator.records(1)[0])),
          key: [1], isTombstone: false))
      refused += 1
      let end = sample.tail.upperBound + 1
      // Unless the origin has a hole where the record could have stood.
      let isDense = sample.origin[20].record.offset == sample.origin[19].record.offset + 1
      #expect((sample.explained(in: sample.tail.lowerBound..<end) == nil) == isDense)
    }
    #expect(refused > 50)
  }

  @Test("A log that is not compacted loses nothing")
  func policies() {
    var kinds: Set<Bool> = []
    for seed in 0..<200 {
      var generator = RecordGenerator(seed: UInt64(5000 + seed))
      let sample = Sample(&generator, keys: 12, records: 40, mirrored: 25, dirty: 40)
      let left = Set(sample.origin.map(\.record.digest))
      let hasOrphan = sample.destination.contains { !left.contains($0.record.digest) }
      let hasDropped = sample.destination.count < 25
      kinds.formUnion([hasOrphan, hasDropped])
      let onlyOrigin = sample.explained(.init(origin: true, destination: false))
      #expect((onlyOrigin == nil) == hasDropped, "seed \(seed)")
      if hasOrphan {
        let onlyDestination = sample.explained(.init(origin: false, destination: true))
        #expect(onlyDestination == nil, "seed \(seed)")
      }
    }
    #expect(kinds == [true, false])
  }
}
