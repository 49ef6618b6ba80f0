internal import Kafka
internal import KafkaModel

/// Records behind the map's end on the destination, held against the origin's next ones.
struct Tail {
  /// Those that are the mirror's own: where they stand, and the number of their twin.
  var own: [(offset: Offset, twin: Int)] = []
  /// Stretches that the mirror did not write, in order: records of others, and positions without a
  /// readable record, which a mirror never leaves behind.
  var foreign: [Range<Offset>] = []

  /// - Parameter dropped: how many of the origin's next records the destination has dropped already.
  init(
    _ written: [PartitionReader.Digested], _ read: [PartitionReader.Digested], from start: Offset,
    to end: Offset, dropped: Int
  ) {
    var next = start
    var twin = dropped
    for record in written {
      if record.offset > next { add(next..<record.offset) }
      next = record.offset + 1
      if twin < read.count, read[twin].digest == record.digest {
        own.append((record.offset, twin))
        twin += 1
      } else {
        add(record.offset..<next)
      }
    }
    if next < end { add(next..<end) }
  }

  private mutating func add(_ range: Range<Offset>) {
    if let last = foreign.last, last.upperBound == range.lowerBound {
      foreign[foreign.count - 1] = last.lowerBound..<range.upperBound
    } else {
      foreign.append(range)
    }
  }
}
