/// Which of a migration's two clusters is meant. The roles never swap: after a switch, records flow
/// from the target back to the source.
package enum ClusterRole: String, Hashable, Sendable, Codable, CaseIterable {
  case source
  case target

  package var opposite: ClusterRole { self == .source ? .target : .source }
}

/// The way records are copied.
package enum Direction: String, Hashable, Sendable, Codable, CaseIterable {
  /// Source to target.
  case forward
  /// Target back to source, after a switch.
  case reverse

  /// The cluster that records are read from.
  package var origin: ClusterRole { self == .forward ? .source : .target }
  /// The cluster that records are written to.
  package var destination: ClusterRole { origin.opposite }
}

/// Where the readable part of a partition's log begins and ends.
package struct LogBounds: Hashable, Sendable, Codable {
  /// Log start offset: the first offset that the broker still keeps.
  package var start: Offset
  /// The offset after the last one that a `read_committed` reader can reach now: the last stable
  /// offset. It may lie behind transaction markers that no reader ever sees.
  package var end: Offset

  package init(start: Offset, end: Offset) {
    self.start = start
    self.end = end
  }
}
