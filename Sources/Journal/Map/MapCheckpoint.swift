package import KafkaModel

/// What one partition's mirror did since its last checkpoint.
package struct MapCheckpoint: Hashable, Sendable {
  /// A registered partition.
  package var partition: PartitionID
  /// New pairs in order; the first may go on where the stored map's last segment ends.
  package var segments: [OffsetSegment]
  /// The digest of the last record in `segments`. `nil` without new segments keeps the stored one;
  /// with new segments it says that the digest is not known.
  package var lastDigest: RecordDigest?
  /// `nil` keeps the stored positions.
  package var originPosition: OriginPosition?

  package init(
    partition: PartitionID, segments: [OffsetSegment], lastDigest: RecordDigest? = nil,
    originPosition: OriginPosition? = nil
  ) {
    self.partition = partition
    self.segments = segments
    self.lastDigest = lastDigest
    self.originPosition = originPosition
  }
}
