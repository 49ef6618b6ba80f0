package import KafkaModel
internal import Synchronization

/// How far one partition's mirror is.
package struct PartitionProgress: Hashable, Sendable {
  /// Every readable record of the origin before this offset has been stored on the destination.
  package var position: Offset
  /// Where the destination's log ends if nobody else writes to it; what is under way comes behind.
  package var destinationEnd: Offset
  /// Records and bytes stored since the mirror was started.
  package var records: Int64 = 0
  package var bytes: Int64 = 0
  /// The reader has met the end of what can be read, at `position`.
  package var isAtEnd = false
  /// Of the last record stored, in ms since 1970; `nil` where none was since the mirror was started.
  package var timestamp: Int64?
  /// The end has not been met yet; see ``LaneLimits/nearEnd``.
  package var isBackfill = false
  package var fault: MirrorFault?

  package init(position: Offset, destinationEnd: Offset) {
    self.position = position
    self.destinationEnd = destinationEnd
  }
}

/// The latest progress of all partitions of a mirror, keyed by the name on the source. Written by
/// lanes, read by anyone.
package final class MirrorProgress: Sendable {
  private struct State {
    var all: [TopicPartition: PartitionProgress] = [:]
    var trouble: String?
  }

  private let state = Mutex(State())

  package init() {}

  package var all: [TopicPartition: PartitionProgress] { state.withLock { $0.all } }

  /// Why nothing is copied at the moment, if so: the mirror tries again until a cluster answers.
  package var trouble: String? {
    get { state.withLock { $0.trouble } }
    set { state.withLock { $0.trouble = newValue } }
  }

  package func update(_ changes: [TopicPartition: PartitionProgress]) {
    state.withLock { $0.all.merge(changes) { _, new in new } }
  }
}
