/// A moment of a rekeyed topic's mirror: all that stood on the origin before the cut stands on the
/// destination before it, and nothing else does.
///
/// The offsets of a rekeyed topic's partitions do not correspond one to one. Its cuts do: they ascend in
/// every partition of both clusters, and serve both ways of copying.
package struct RekeyCut: Hashable, Sendable, Codable {
  /// How the records between the cut before and this one came to the other side.
  package enum Kind: String, Hashable, Sendable, Codable {
    case forward
    case reverse
    /// Not at all: a mirror was armed here. Between this cut and the one before lie at most transaction
    /// markers, which no reader sees.
    case base

    package init(_ direction: Direction) { self = direction == .forward ? .forward : .reverse }
  }

  /// Ascends by one.
  package var number: Int64
  package var kind: Kind
  /// Behind the last record before the cut, by partition.
  package var source: [Offset]
  package var target: [Offset]
  /// Between the cut before and this one.
  package var records: Int64

  package init(
    number: Int64, kind: Kind, source: [Offset], target: [Offset], records: Int64
  ) {
    self.number = number
    self.kind = kind
    self.source = source
    self.target = target
    self.records = records
  }

  package func ends(on role: ClusterRole) -> [Offset] { role == .source ? source : target }
}

extension [Offset] {
  /// No partition's offset lies behind that of `other`.
  package func isWithin(_ other: [Offset]) -> Bool {
    count == other.count && zip(self, other).allSatisfy { $0 <= $1 }
  }
}
