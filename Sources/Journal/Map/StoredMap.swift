package import KafkaModel

/// All that the journal keeps about one partition's mirror.
package struct StoredMap: Equatable, Sendable {
  /// Every mirrored record, of both directions.
  package let map: OffsetMap
  /// The digest of the last mirrored record; `nil` where unknown.
  package let lastDigest: RecordDigest?
  /// For each direction ever copied: the next offset to read on its origin's log.
  package let positions: [Direction: Offset]
}
