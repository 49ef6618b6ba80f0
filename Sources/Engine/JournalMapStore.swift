internal import Journal
internal import KafkaModel
internal import Mirror
internal import Synchronization

/// Keeps the mirror's offset maps in the journal.
struct JournalMapStore: MapStore {
  let ledger: Ledger
  /// Journal ids by the partition's name on the source.
  let partitions: [TopicPartition: PartitionRow]
  /// Whether the plan accepts gaps of a partition, by its name on the source.
  private let acceptsGaps: @Sendable (TopicPartition) -> Bool

  init(
    _ ledger: Ledger, acceptsGaps: @escaping @Sendable (TopicPartition) -> Bool = { _ in false }
  ) throws {
    self.ledger = ledger
    self.acceptsGaps = acceptsGaps
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

  /// The maps of many partitions, all at one moment.
  func maps(of sources: [TopicPartition]) throws -> [TopicPartition: OffsetMap] {
    try mapsAndStates(of: sources, .forward).mapValues(\.map)
  }

  func state(of source: TopicPartition, _ direction: Direction) async throws -> MirrorState {
    // The row alone: a map may have millions of segments.
    state(
      of: try ledger.journal.partition(partitions[source]!.id), direction, Armory(ledger, direction)
    )
  }

  func states(of sources: [TopicPartition], _ direction: Direction) async throws -> [MirrorState] {
    let rows = Dictionary(
      uniqueKeysWithValues: try ledger.journal.partitions().map { ($0.source, $0) })
    let armory = Armory(ledger, direction)
    return sources.map { state(of: rows[$0]!, direction, armory) }
  }

  /// Both at one moment: a running mirror adds to them together.
  func mapsAndStates(
    of sources: [TopicPartition], _ direction: Direction
  ) throws -> [TopicPartition: (map: OffsetMap, state: MirrorState)] {
    let rows = sources.map { partitions[$0]! }
    let stored = try ledger.journal.loadMaps(Set(rows.map(\.id)))
    let armory = Armory(ledger, direction)
    var found: [TopicPartition: (map: OffsetMap, state: MirrorState)] = [:]
    for row in rows {
      guard let stored = stored[row.id] else { continue }
      var ends: [ClusterRole: Offset] = [:]
      for role in ClusterRole.allCases { ends[role] = stored.map.end(on: role) }
      let state = state(of: row, direction, ends, stored.lastDigest, stored.positions, armory)
      found[row.source] = (stored.map, state)
    }
    return found
  }

  /// What the journal says of where a direction was armed.
  private struct Armory {
    let positions: [TopicPartition: Offset]
    let bases: [TopicPartition: Offset]

    init(_ ledger: Ledger, _ direction: Direction) {
      positions = ledger.armedPositions(direction)
      bases = ledger.lastBases(direction)
    }
  }

  private func state(
    of row: PartitionRow, _ direction: Direction, _ armory: Armory
  ) -> MirrorState {
    var ends: [ClusterRole: Offset] = [:]
    for role in ClusterRole.allCases { ends[role] = row.mapEnd(on: role) }
    return state(of: row, direction, ends, row.lastDigest, row.positions, armory)
  }

  private func state(
    of row: PartitionRow, _ direction: Direction, _ ends: [ClusterRole: Offset],
    _ lastDigest: RecordDigest?, _ positions: [Direction: Offset], _ armory: Armory
  ) -> MirrorState {
    let start = armory.positions[row.source] ?? Offset(0)
    let position = max(positions[direction] ?? start, ends[direction.origin] ?? start, start)
    return MirrorState(
      source: row.source, target: row.target, mapEnds: ends, lastDigest: lastDigest,
      position: position, destinationBase: armory.bases[row.source] ?? Offset(0))
  }

  func accept(
    gap: Range<Offset>, of source: TopicPartition, _ direction: Direction
  ) async throws -> Bool {
    guard direction == .forward, acceptsGaps(source) else { return false }
    try ledger.record(
      .gap, stage: nil,
      AcceptedGap(partition: source, from: gap.lowerBound, to: gap.upperBound))
    return true
  }

  func accept(
    foreign ranges: [Range<Offset>], of source: TopicPartition, _ direction: Direction
  ) async throws -> Bool {
    guard direction == .reverse else { return false }
    let left = Stretches(ranges: ledger.leftStrays(of: source))
    return ranges.allSatisfy(left.cover)
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
