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

/// The records between two cuts that follow each other, in the order in which a mirror writes them.
///
/// A mirror takes what the origin holds from one cut up to an end that is journalled before anything is
/// written. So a round can be told again from the origin alone: partition 0's records in the order of their
/// offsets, then partition 1's, and so on. Records with one key that share a partition keep their order.
package struct RekeyRound<Item> {
  /// The records that belong to each destination partition, in order.
  package private(set) var items: [[Item]]
  package private(set) var count: Int64 = 0

  /// - Parameter partitions: how many the destination has.
  package init(partitions: Int) { items = Array(repeating: [], count: partitions) }

  /// Adds the origin's next record in that order.
  package mutating func add(_ item: Item, to partition: Int32) {
    items[Int(partition)].append(item)
    count += 1
  }
}
