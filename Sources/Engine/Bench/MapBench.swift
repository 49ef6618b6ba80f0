internal import Foundation
internal import Journal
internal import KafkaModel

/// Measures the offset map, in memory and in a journal of its own: what it costs to keep, to write on,
/// to load and to ask.
package struct MapBench: Codable, Sendable {
  /// One shape of partition.
  package struct Shape: Codable, Sendable {
    package var name: String
    package var records: Int64
    package var segments: Int
    /// Of the journal's blocks, all that is stored of the map.
    package var storedBytes: Int64
    package var bytesPerHole: Double?
    /// The last and the slowest checkpoint of 10,000 records, milliseconds, `fsync` included.
    package var lastCheckpoint: Double
    package var slowestCheckpoint: Double
    /// Milliseconds to load it all.
    package var load: Double
    /// Nanoseconds a lookup, of 1,000,000 at random offsets, each way.
    package var forwardLookup: Double
    package var backwardLookup: Double
  }

  package var shapes: [Shape] = []

  /// Throws: `JournalError`, or an error of the file system.
  package static func run() throws -> MapBench {
    var bench = MapBench()
    bench.shapes.append(try measure("10 M records, dense", [(10_000_000, 0)], of: 10_000_000))
    bench.shapes.append(
      try measure("10 M records in transactions of 10", [(10, 1)], of: 10_000_000))
    bench.shapes.append(
      try measure("10 M segments, 1 to 7 records, holes of 1 to 5", irregular, of: 40_000_000))
    return bench
  }

  /// Runs and the holes behind them, over and over: 7 x 5 = 35 different ones in a scattered order.
  private static let irregular: [(run: Int64, hole: Int64)] = (Int64(0)..<35).map { index in
    let run: Int64 = (index * 17) % 7
    let hole: Int64 = (index * 11) % 5
    return (run + 1, hole + 1)
  }

  private static func measure(
    _ name: String, _ pattern: [(run: Int64, hole: Int64)], of records: Int64
  ) throws -> Shape {
    let directory = FileManager.default.temporaryDirectory
      .appendingPathComponent("ferry-bench-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    let journal = try MigrationJournal.open(
      at: directory.appendingPathComponent("map.db").path, mode: .create(migration: "bench"))
    let lease = try journal.acquireLease(holder: .current, duration: .seconds(86400))
    defer { journal.release(lease) }
    let partition = try journal.registerPartition(
      source: TopicPartition("t", 0), target: TopicPartition("t", 0), lease: lease)

    var pairs = PairSource(pattern)
    var checkpoints: [Double] = []
    while pairs.target < records {
      let segments = pairs.take(min(10_000, records - pairs.target))
      checkpoints.append(
        try milliseconds {
          try journal.appendMap(
            [MapCheckpoint(partition: partition, segments: segments)], lease: lease)
        }.time)
    }
    let (map, load) = try milliseconds { try journal.loadMap(partition).map }
    let segments = map.segments.count
    let stored = try journal.mapBytes(partition)
    return Shape(
      name: name, records: map.recordCount, segments: segments, storedBytes: stored,
      bytesPerHole: segments > 1 ? Double(stored) / Double(segments - 1) : nil,
      lastCheckpoint: checkpoints.last ?? 0, slowestCheckpoint: checkpoints.max() ?? 0,
      load: load, forwardLookup: try lookup(map, .source), backwardLookup: try lookup(map, .target))
  }

  private static func lookup(_ map: OffsetMap, _ role: ClusterRole) throws -> Double {
    let count = 1_000_000
    let end = map.end(on: role)?.rawValue ?? 1
    var random: UInt64 = 42
    var sum: Int64 = 0
    let time = milliseconds {
      for _ in 0..<count {
        random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let offset = Offset(Int64(random >> 16) % end)
        sum &+= map.translate(offset, from: role)?.rawValue ?? 0
      }
    }.time
    // The sum is used, so that no lookup can be left out.
    return time * 1e6 / Double(count) + (sum == .min ? 1 : 0)
  }

  private static func milliseconds<Value>(
    _ body: () throws -> Value
  ) rethrows -> (value: Value, time: Double) {
    let start = ContinuousClock.now
    let value = try body()
    return (value, (ContinuousClock.now - start) / .milliseconds(1))
  }

  package var text: String {
    shapes.map { shape in
      let hole = shape.bytesPerHole.map { ", \(Self.round($0, 3)) bytes a hole" } ?? ""
      return """
        \(shape.name): \(shape.records) records, \(shape.segments) segments
          stored     \(shape.storedBytes) bytes\(hole)
          checkpoint \(Self.round(shape.lastCheckpoint, 2)) ms the last, \(Self.round(shape.slowestCheckpoint, 2)) ms the slowest, of 10,000 records
          load       \(Self.round(shape.load, 1)) ms
          lookup     \(Self.round(shape.forwardLookup, 0)) ns forward, \(Self.round(shape.backwardLookup, 0)) ns back
        """
    }.joined(separator: "\n")
  }

  private static func round(_ number: Double, _ digits: Int) -> String {
    String(format: "%.\(digits)f", number)
  }
}

/// Pairs of a pattern of runs and holes, taken in portions that may end inside a run.
private struct PairSource {
  private let pattern: [(run: Int64, hole: Int64)]
  private var index = 0
  private var done: Int64 = 0
  private var source: Int64 = 0
  private(set) var target: Int64 = 0

  init(_ pattern: [(run: Int64, hole: Int64)]) { self.pattern = pattern }

  mutating func take(_ records: Int64) -> [OffsetSegment] {
    var left = records
    var segments: [OffsetSegment] = []
    while left > 0 {
      let (run, hole) = pattern[index % pattern.count]
      let count = min(left, run - done)
      segments.append(
        OffsetSegment(sourceStart: Offset(source), targetStart: Offset(target), count: count))
      source += count
      target += count
      left -= count
      done += count
      if done == run {
        source += hole
        done = 0
        index += 1
      }
    }
    return segments
  }
}
