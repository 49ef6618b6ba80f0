package import Kafka
package import KafkaModel

/// Explains the records behind the map's end on the destination as the mirror's own where compaction has
/// since taken records from either log, which it may do between a write and its checkpoint.
///
/// A mirror writes the origin's next records in order and leaves no position out. So two records that
/// stand on both logs bound what lay between them:
/// - a record that only the origin still holds was written, and the destination has dropped it;
/// - a record that only the destination still holds (an *orphan*) has been dropped by the origin, which
///   keeps a later record of its key;
/// - and there were at most as many as the origin has offsets there.
///
/// Behind the last such record only orphans are possible: what the origin holds there has yet to be
/// written. Compaction never takes a log's last record
/// (<https://kafka.apache.org/documentation/#compaction>: the active segment is not compacted).
///
/// What cannot have come about so is no explanation. A foreign record is taken for an orphan only where
/// the origin keeps a later record of its key and has lost enough offsets; then the log's latest values
/// are the same as without it.
package struct CompactedTail: Sendable {
  /// A stretch of the destination's log, and the lowest offsets that its records can have on the
  /// origin's. Unless it is the tail's first, it begins with a record that stands on both logs: all lookups of
  /// those are exact, and a record that is gone is followed by a later one of its key.
  package struct Run: Hashable, Sendable {
    package var origin: Offset
    package var destination: Offset
    package var count: Int64
  }

  package struct Orphan: Hashable, Sendable {
    package let record: PartitionReader.Keyed
    /// The lowest offset that it can have had on the origin.
    package let origin: Offset
  }

  /// Adjoining: together they are the whole tail.
  package let runs: [Run]
  package private(set) var orphans: [Orphan] = []

  /// Which of the logs is compacted.
  package struct Compaction: Sendable {
    package var origin: Bool
    package var destination: Bool

    package init(origin: Bool, destination: Bool) {
      self.origin = origin
      self.destination = destination
    }
  }

  /// - Parameters:
  ///   - written: what the destination's log holds in `tail`.
  ///   - read: what the origin's log holds from `position` on: one record more than `tail` has
  ///     positions, or all up to `originEnd`.
  ///   - position: the next offset to mirror, as the map has it.
  /// Returns: `nil` where the mirror cannot have left the logs so.
  package init?(
    written: [PartitionReader.Keyed], in tail: Range<Offset>, read: [PartitionReader.Digested],
    from position: Offset, originEnd: Offset, compaction: Compaction
  ) {
    guard let last = written.last?.record, last.offset + 1 == tail.upperBound else { return nil }
    var places: [RecordDigest: [Int]] = [:]
    for (index, record) in read.enumerated() { places[record.digest, default: []].append(index) }

    var runs: [Run] = []
    var run = Run(origin: position, destination: tail.lowerBound, count: 0)
    /// Records at the run's begin that stand on both logs: only before the first such record none does.
    var common: Int64 = 0
    /// Orphans in the run.
    var lone: Int64 = 0
    /// The first record of `read` behind the run.
    var next = 0
    /// Whether the run can end where the next one begins, with `left` records of `read` between them.
    func canEnd(at destination: Offset, _ origin: Offset, left: Int) -> Bool {
      run.count = destination - run.destination
      let dropped = run.count - common - lone
      return Int64(left) <= dropped && (dropped == 0 || compaction.destination)
        && run.count <= origin - run.origin
    }
    for record in written {
      let place = record.record
      if let index = places[place.digest]?.first(where: { $0 >= next }) {
        let origin = read[index].offset
        guard canEnd(at: place.offset, origin, left: index - next) else { return nil }
        if run.count > 0 { runs.append(run) }
        run = Run(origin: origin, destination: place.offset, count: 0)
        (common, lone, next) = (1, 0, index + 1)
      } else if compaction.origin, record.key != nil {
        let origin = run.origin + (place.offset - run.destination)
        orphans.append(Orphan(record: record, origin: origin))
        lone += 1
      } else {
        return nil
      }
    }
    let follower = next < read.count ? read[next].offset : originEnd
    guard canEnd(at: tail.upperBound, follower, left: 0) else { return nil }
    runs.append(run)
    self.runs = runs
    lastDigest = last.digest
  }

  /// Of the tail's last record.
  package let lastDigest: RecordDigest

  /// The next offset to mirror.
  package var position: Offset { runs.last.map { $0.origin + $0.count }! }
}
