internal import Kafka
package import KafkaModel

/// Strays are about to be copied to the target. Journalled before the first copy is written; the outcome is a
/// ``StrayDecision``. Whoever finds this without one sees on the target what arrived.
package struct StrayForwarding: Codable, Hashable, Sendable {
  /// What is copied of one source partition.
  package struct Part: Codable, Hashable, Sendable {
    /// All that the outcome decides about.
    package let stray: StrayWrite
    /// Where the strays stand in it: all else is the mirror's own.
    package let ranges: [Range<Offset>]
    /// Where the target's log ended: the copies come at or behind this offset.
    package let targetEnd: Offset
  }

  package let parts: [Part]
  package let attempt: Int
  /// `nil` where the plan decided.
  package let order: Order?
  /// The command that asked for it, which waits for the outcome.
  package let command: Int64?

  /// Finds the copies among `found`, which stands on the target behind their noted end: live producers
  /// write there, too, so that others' records may lie between them.
  ///
  /// - Parameter strays: that were to be copied, in order; what was dropped since may be missing.
  /// Returns: those that were, each with its copy. They were written in order, so all are missing behind the first
  ///   one that is.
  static func copies(
    of strays: [PartitionReader.Digested], in found: [PartitionReader.Digested]
  ) -> [OffsetSegment] {
    var copies: [OffsetSegment] = []
    var next = 0
    for record in found where next < strays.count && record.digest == strays[next].digest {
      copies.add(
        OffsetSegment(sourceStart: strays[next].offset, targetStart: record.offset, count: 1))
      next += 1
    }
    return copies
  }
}
