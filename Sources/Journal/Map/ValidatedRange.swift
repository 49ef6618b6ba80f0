package import Foundation
package import KafkaModel

/// A range of the source log whose records were found equal on both sides.
package struct ValidatedRange: Hashable, Sendable {
  /// Offsets of the source log; it may contain holes.
  package let sourceRange: Range<Offset>
  /// The records compared.
  package let records: Int64
  /// Over the compared records, as the validator chains them.
  package let digest: RecordDigest
  /// When it was recorded.
  package let time: Date

  package init(
    sourceRange: Range<Offset>, records: Int64, digest: RecordDigest, time: Date = Date()
  ) {
    self.sourceRange = sourceRange
    self.records = records
    self.digest = digest
    self.time = time
  }
}
