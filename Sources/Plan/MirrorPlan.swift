/// How fast and how widely records are copied.
package struct MirrorPlan: Hashable, Sendable, Codable {
  /// For backfill: partitions that have not met the end of their log yet; `nil` is unlimited.
  package var bytesPerSecond: Int64?
  /// For the tail: all other partitions, which backfill never holds up; `nil` is unlimited.
  package var tailBytesPerSecond: Int64?
  /// Threads, each with a consumer and a producer; `nil` is automatic.
  package var lanes: Int?
  /// Bytes read and not yet stored, at most, over all lanes.
  package var memoryBytes: Int64 = 512 << 20
}
