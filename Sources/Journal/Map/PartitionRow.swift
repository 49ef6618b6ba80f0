package import KafkaModel

/// One mirrored partition, without its map.
package struct PartitionRow: Hashable, Sendable {
  package let id: PartitionID
  package let source: TopicPartition
  /// Pinned to `source` for the migration's life.
  package let target: TopicPartition
  /// The offset after the last mirrored record on each log; `nil` while nothing is mirrored.
  package let sourceEnd: Offset?
  package let targetEnd: Offset?
  /// The digest of the last mirrored record; `nil` where unknown.
  package let lastDigest: RecordDigest?
  /// For each direction ever copied: the next offset to read on its origin's log.
  package let positions: [Direction: Offset]

  /// The offset after the last mirrored record on `role`'s log; `nil` while nothing is mirrored.
  package func mapEnd(on role: ClusterRole) -> Offset? { role == .source ? sourceEnd : targetEnd }
}
