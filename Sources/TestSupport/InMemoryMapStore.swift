package import KafkaModel
package import Mirror

/// Keeps offset maps in memory, as the journal does in a file, and can lose what it is told: a process
/// that was killed before it wrote.
package actor InMemoryMapStore: MapStore {
  private struct Entry {
    var target: TopicPartition
    var map = OffsetMap()
    var lastDigest: RecordDigest?
    var positions: [Direction: Offset] = [:]
    var starts: [Direction: Offset] = [:]
    var bases: [Direction: Offset] = [:]
  }

  private var entries: [TopicPartition: Entry] = [:]
  private var isForgetful = false
  private var isFailing = false
  private var isHolding = false
  private var held: [CheckedContinuation<Void, Never>] = []
  private var refusesNext = false
  private var acceptsGaps = false
  /// Gaps that were accepted, in order.
  package private(set) var gaps: [Range<Offset>] = []

  /// - Parameter partitions: target partitions by source partition.
  package init(_ partitions: [TopicPartition: TopicPartition]) {
    for (source, target) in partitions { entries[source] = Entry(target: target) }
  }

  /// Whether checkpoints are lost from now on.
  package func setForgetful(_ isForgetful: Bool) { self.isForgetful = isForgetful }

  /// Whether checkpoints are refused from now on, which ends a mirror with its requests under way.
  package func setFailing(_ isFailing: Bool) { self.isFailing = isFailing }

  /// Lets every checkpoint wait from now on, as for a disk that hangs.
  package func hold() { isHolding = true }

  /// How many checkpoints wait.
  package var heldCount: Int { held.count }

  /// Lets those that wait, and all further ones, go on.
  package func release() {
    isHolding = false
    for checkpoint in held { checkpoint.resume() }
    held = []
  }

  /// Refuses one checkpoint that has pairs, as a disk that is full for a moment.
  package func refuseNext() { refusesNext = true }

  /// Whether the mirror may go on behind records that the origin dropped.
  package func setAcceptsGaps(_ acceptsGaps: Bool) { self.acceptsGaps = acceptsGaps }

  package func accept(
    gap: Range<Offset>, of source: TopicPartition, _ direction: Direction
  ) async throws -> Bool {
    if acceptsGaps { gaps.append(gap) }
    return acceptsGaps
  }

  /// What a refused checkpoint throws.
  package struct Failing: Error {}

  /// Sets where a direction starts to read and where the destination's log ended before it wrote.
  package func arm(
    _ direction: Direction, _ source: TopicPartition, readingFrom start: Offset, base: Offset
  ) {
    entries[source]!.starts[direction] = start
    entries[source]!.bases[direction] = base
  }

  /// Lets all that is known of one pair of partitions be said of another, as if their logs had changed.
  package func replace(
    _ source: TopicPartition, by other: TopicPartition, target: TopicPartition
  ) {
    var entry = entries.removeValue(forKey: source)!
    entry.target = target
    entries[other] = entry
  }

  package func append(_ checkpoints: [MirrorCheckpoint]) async throws {
    if isHolding { await withCheckedContinuation { held.append($0) } }
    if isFailing { throw Failing() }
    if refusesNext, checkpoints.contains(where: { !$0.segments.isEmpty }) {
      refusesNext = false
      throw Failing()
    }
    guard !isForgetful else { return }
    for checkpoint in checkpoints {
      for segment in checkpoint.segments { try entries[checkpoint.source]!.map.append(segment) }
      entries[checkpoint.source]!.lastDigest = checkpoint.lastDigest
      entries[checkpoint.source]!.positions[checkpoint.direction] = checkpoint.position
    }
  }

  package func state(of source: TopicPartition, _ direction: Direction) async throws -> MirrorState
  {
    let entry = entries[source]!
    var ends: [ClusterRole: Offset] = [:]
    for role in ClusterRole.allCases { ends[role] = entry.map.end(on: role) }
    let start = entry.starts[direction] ?? Offset(0)
    return MirrorState(
      source: source, target: entry.target, mapEnds: ends, lastDigest: entry.lastDigest,
      position: max(entry.positions[direction] ?? start, ends[direction.origin] ?? start, start),
      destinationBase: entry.bases[direction] ?? Offset(0))
  }

  package func map(of source: TopicPartition) async throws -> OffsetMap { entries[source]!.map }

  package func truncate(
    _ source: TopicPartition, to end: Offset, on role: ClusterRole, lastDigest: RecordDigest?,
    position: Offset, _ direction: Direction
  ) async throws {
    entries[source]!.map.truncate(to: end, on: role)
    entries[source]!.lastDigest = lastDigest
    entries[source]!.positions[direction] = position
  }
}
