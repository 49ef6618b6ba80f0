package import KafkaModel

/// What is known durably of one partition's mirror, apart from the map itself.
package struct MirrorState: Hashable, Sendable {
  /// The partition's name on the source cluster: its identity throughout the migration.
  package var source: TopicPartition
  package var target: TopicPartition
  /// The map's ends; `nil` while nothing was mirrored.
  package var mapEnds: [ClusterRole: Offset]
  /// Digest of the last mirrored record; `nil` while nothing was mirrored.
  package var lastDigest: RecordDigest?
  /// The next offset to read on the origin's log; lies behind the map's end where holes follow it.
  package var position: Offset
  /// Where the destination's log ended when this direction was armed: what it writes comes after.
  package var destinationBase: Offset

  package init(
    source: TopicPartition, target: TopicPartition, mapEnds: [ClusterRole: Offset],
    lastDigest: RecordDigest?, position: Offset, destinationBase: Offset
  ) {
    self.source = source
    self.target = target
    self.mapEnds = mapEnds
    self.lastDigest = lastDigest
    self.position = position
    self.destinationBase = destinationBase
  }

  package func partition(on role: ClusterRole) -> TopicPartition {
    role == .source ? source : target
  }

  /// Where the destination's log has to end if nothing was written that is not in the map.
  package func expectedEnd(_ direction: Direction) -> Offset {
    max(mapEnds[direction.destination] ?? destinationBase, destinationBase)
  }
}

/// What a mirror has achieved since it last said so.
package struct MirrorCheckpoint: Sendable {
  package var source: TopicPartition
  package var direction: Direction
  /// New pairs, ascending, following the map's end.
  package var segments: [OffsetSegment]
  package var lastDigest: RecordDigest?
  /// Every readable record of the origin before this offset is in the map.
  package var position: Offset
}

/// Keeps offset maps durably. May lag behind the clusters: reconciliation makes up for it.
package protocol MapStore: Sendable {
  /// Stores all or nothing.
  func append(_ checkpoints: [MirrorCheckpoint]) async throws
  /// The map and state of a partition in one direction.
  func state(of source: TopicPartition, _ direction: Direction) async throws -> MirrorState
  /// As ``state(of:_:)`` of many partitions, in their order.
  func states(of sources: [TopicPartition], _ direction: Direction) async throws -> [MirrorState]
  func map(of source: TopicPartition) async throws -> OffsetMap
  /// The origin dropped the records in `gap` before they were mirrored.
  ///
  /// Returns: whether to go on behind them, which is then noted durably.
  func accept(
    gap: Range<Offset>, of source: TopicPartition, _ direction: Direction
  ) async throws -> Bool
  /// Somebody else wrote the records in `ranges` to the destination.
  ///
  /// Returns: whether people have decided that they stay there, and the mirror goes on around them.
  func accept(
    foreign ranges: [Range<Offset>], of source: TopicPartition, _ direction: Direction
  ) async throws -> Bool
  /// Forgets pairs at or behind `end` on `role`'s log.
  func truncate(
    _ source: TopicPartition, to end: Offset, on role: ClusterRole, lastDigest: RecordDigest?,
    position: Offset, _ direction: Direction) async throws
}

extension MapStore {
  package func accept(
    foreign ranges: [Range<Offset>], of source: TopicPartition, _ direction: Direction
  ) async throws -> Bool { false }

  package func states(
    of sources: [TopicPartition], _ direction: Direction
  ) async throws -> [MirrorState] {
    var states: [MirrorState] = []
    for source in sources { states.append(try await state(of: source, direction)) }
    return states
  }
}
