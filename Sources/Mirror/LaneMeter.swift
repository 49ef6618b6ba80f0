internal import Synchronization

/// How long a mirror's lanes themselves hold records up, of all records since the last reset.
package final class LaneMeter: Sendable {
  private let state = Mutex((handling: DurationHistogram(), keeping: DurationHistogram()))

  package init() {}

  /// From the moment in which librdkafka gave a record out to the one in which it took it again, to be
  /// produced: other records of the same batch, the digest.
  package var handling: DurationHistogram { state.withLock { $0.handling } }

  /// The longest that the lane can have kept a record: as ``handling``, and before it what the record
  /// may have waited in librdkafka's queue because the lane was busy. It counts from the last moment in
  /// which that queue was seen empty.
  package var keeping: DurationHistogram { state.withLock { $0.keeping } }

  package func reset() { state.withLock { $0 = (DurationHistogram(), DurationHistogram()) } }

  func add(handling: DurationHistogram, keeping: DurationHistogram) {
    state.withLock {
      $0.handling.add(handling)
      $0.keeping.add(keeping)
    }
  }
}
