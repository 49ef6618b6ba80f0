internal import Journal
internal import KafkaModel
internal import Mirror
internal import Synchronization

/// Keeps the mirror's offset maps in the journal.
struct JournalMapStore: MapStore {
  let ledger: Ledger
  /// Journal ids by the partition's name on the source.
  let partitions: [TopicPartition: PartitionRow]

  init(_ ledger: Ledger) throws {
    self.ledger = ledger
    partitions = Dictionary(
      uniqueKeysWithValues: try ledger.journal.partitions().map { ($0.source, $0) })
  }

  func append(_ checkpoints: [MirrorCheckpoint]) async throws {
    let rows = checkpoints.map { checkpoint in
      MapCheckpoint(
        partition: partitions[checkpoint.source]!.id, segments: checkpoint.segments,
        lastDigest: checkpoint.lastDigest,
        originPosition: OriginPosition(
          direction: checkpoint.direction, position: checkpoint.position))
    }
    Failpoint.hit("map:before")
    try ledger.journal.appendMap(rows, lease: ledger.lease)
    Failpoint.hit("map:after")
  }

  func map(of source: TopicPartition) async throws -> OffsetMap {
    try ledger.journal.loadMap(partitions[source]!.id).map
  }

  func state(of source: TopicPartition, _ direction: Direction) async throws -> MirrorState {
    try mapAndState(of: source, direction).state
  }

  /// Both at one moment: a running mirror adds to them together.
  func mapAndState(
    of source: TopicPartition, _ direction: Direction
  ) throws -> (map: OffsetMap, state: MirrorState) {
    let row = partitions[source]!
    let stored = try ledger.journal.loadMap(row.id)
    var ends: [ClusterRole: Offset] = [:]
    for role in ClusterRole.allCases { ends[role] = stored.map.end(on: role) }
    let start = ledger.armedPositions(direction)[source] ?? Offset(0)
    let position = max(
      stored.positions[direction] ?? start, ends[direction.origin] ?? start, start)
    let state = MirrorState(
      source: source, target: row.target, mapEnds: ends, lastDigest: stored.lastDigest,
      position: position, destinationBase: ledger.lastBases(direction)[source] ?? Offset(0))
    return (stored.map, state)
  }

  func truncate(
    _ source: TopicPartition, to end: Offset, on role: ClusterRole, lastDigest: RecordDigest?,
    position: Offset, _ direction: Direction
  ) async throws {
    // The journal itself moves the positions back, in the same transaction.
    try ledger.journal.truncateMap(
      partitions[source]!.id, to: end, on: role, lastDigest: lastDigest, lease: ledger.lease)
  }
}
