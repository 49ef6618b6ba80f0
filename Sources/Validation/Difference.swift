package import KafkaModel

/// One way in which the two sides disagree.
package enum Difference: Hashable, Sendable, Codable {
  /// A source record has no counterpart on the target.
  case missing(source: Offset)
  /// A target record has no counterpart on the source.
  case extra(target: Offset)
  /// Counterparts differ in the named fields.
  case altered(source: Offset, target: Offset, fields: [String])
  /// The record is on both sides, but not where its order puts it.
  case reordered(source: Offset, target: Offset)
}

extension Difference: CustomStringConvertible {
  package var description: String {
    switch self {
    case .missing(let source): "missing: source offset \(source) is not on the target"
    case .extra(let target): "extra: target offset \(target) has no source record"
    case .altered(let source, let target, let fields):
      "altered: source offset \(source) and target offset \(target) differ in \(fields.joined(separator: ", "))"
    case .reordered(let source, let target):
      "reordered: source offset \(source) stands at target offset \(target), out of order"
    }
  }
}

/// What is to be compared: fixed before reading, so that records which arrive meanwhile raise no alarm.
package struct ComparisonRange: Sendable {
  package let source: TopicPartition
  package let target: TopicPartition
  package let sourceRange: Range<Offset>
  package let targetRange: Range<Offset>
  /// Pairs records exactly; `nil` pairs them by order.
  package let map: OffsetMap?
  /// Compare the latest value of each key only: sides compact independently.
  package let isCompacted: Bool
  /// Stretches of the source that others wrote and that stay there alone: they are passed over.
  package let passedOver: [Range<Offset>]

  package init(
    source: TopicPartition, target: TopicPartition, sourceRange: Range<Offset>,
    targetRange: Range<Offset>, map: OffsetMap?, isCompacted: Bool,
    passedOver: [Range<Offset>] = []
  ) {
    self.source = source
    self.target = target
    self.sourceRange = sourceRange
    self.targetRange = targetRange
    self.map = map
    self.isCompacted = isCompacted
    self.passedOver = passedOver
  }
}

/// What comparing one range found.
package struct Verdict: Hashable, Sendable, Codable {
  package let source: TopicPartition
  package let target: TopicPartition
  /// Source records read.
  package var records: Int64 = 0
  /// Chain of the source records' digests, in order; of compacted topics zero.
  package var digest = RecordDigest.zero
  package var differenceCount = 0
  /// The first hundred.
  package var differences: [Difference] = []

  package init(source: TopicPartition, target: TopicPartition) {
    self.source = source
    self.target = target
  }

  package var isEqual: Bool { differenceCount == 0 }

  mutating func add(_ difference: Difference) {
    differenceCount += 1
    if differences.count < 100 { differences.append(difference) }
  }
}
