internal import Kafka
internal import KafkaModel

/// Bounds of one lane.
package struct LaneLimits: Hashable, Sendable {
  /// Records read and not yet stored, at most; as many may wait to be read. Each costs some 400
  /// bytes besides its own.
  package var records = 100_000
  /// Bytes read and not yet stored, at most.
  package var bytes = 256 << 20
  package var checkpointInterval = Duration.milliseconds(200)
  /// A partition that has more offsets left than this when its mirror starts is backfill until it meets
  /// the end of its log; all others are tail.
  package var nearEnd: Int64 = 10_000

  package init() {}
}

/// A record that was handed to the producer and not reported on.
struct InFlight {
  let offset: Offset
  let digest: RecordDigest
  let bytes: Int
}

/// A partition as it is given to a lane.
package struct LanePartition: Sendable {
  let state: MirrorState
  let isBackfill: Bool
  /// Backfill waits for that of higher priority.
  let priority: Int
}

/// Where a partition's backfill stands.
enum Backfill {
  /// For backfill of higher priority.
  case waiting
  case running
  /// The end was met: from now on it is read as tail.
  case done
}

/// One partition's state in its lane.
struct Slot {
  let source: TopicPartition
  let origin: TopicPartition
  let destination: TopicPartition
  let producerTopic: Int
  /// The next offset to read.
  var position: Offset
  /// Where the next record has to land.
  var expected: Offset
  var inFlight = FIFO<InFlight>()
  var newSegments: [OffsetSegment] = []
  var lastDigest: RecordDigest?
  var records: Int64 = 0
  var bytes: Int64 = 0
  var isAtEnd = false
  /// Of the last record stored.
  var timestamp: Int64?
  /// There is something to checkpoint: see ``LaneState/change(_:_:)``.
  var isDirty = false
  private(set) var fault: MirrorFault?
  /// The first record in doubt after a fault or the producer's end: reading begins again there.
  private var faultPosition: Offset?
  var isStopped = false
  /// What the partition is as long as it has not met the end of its log; `nil` once it is tail.
  var backfill: Backfill?
  let priority: Int

  init(_ share: LanePartition, _ direction: Direction, producerTopic: Int) {
    let state = share.state
    backfill = share.isBackfill ? .waiting : nil
    priority = share.priority
    source = state.source
    origin = state.partition(on: direction.origin)
    destination = state.partition(on: direction.destination)
    self.producerTopic = producerTopic
    position = state.position
    expected = state.expectedEnd(direction)
    lastDigest = state.lastDigest
  }

  /// Everything before this offset is stored.
  var storedPosition: Offset { faultPosition ?? inFlight.first?.offset ?? position }

  /// Stops the partition. What is in flight stays out of the map: reconciliation judges it.
  ///
  /// - Parameter offset: the first record in doubt; by default the first in flight.
  mutating func fail(_ fault: MirrorFault, at offset: Offset? = nil) {
    faultPosition = offset ?? storedPosition
    self.fault = fault
  }

  /// A record was handed to the producer.
  mutating func sent(_ record: InFlight) {
    inFlight.append(record)
    position = record.offset + 1
    isAtEnd = false
  }

  var progress: PartitionProgress {
    var progress = PartitionProgress(position: storedPosition, destinationEnd: expected)
    progress.records = records
    progress.bytes = bytes
    progress.isAtEnd = isAtEnd && inFlight.isEmpty
    progress.timestamp = timestamp
    progress.isBackfill = backfill != nil
    progress.fault = fault
    return progress
  }

  /// Takes the report on the record at `offset` of the origin: stored at `place`, or not.
  ///
  /// Returns: whether the answer leaves in doubt what the destination holds. Then the lane has to end,
  /// and the next one reconciles from the first record in doubt: only reading tells a foreign write, a
  /// lost tail, and a report that is wrong from each other. (A producer that ended ends the lane too.)
  mutating func deliver(
    _ offset: Offset, at place: Offset, _ error: KafkaError?, _ direction: Direction
  ) -> Bool {
    guard let sent = inFlight.popFirst(), faultPosition == nil else { return false }
    if let error {
      if error.refusesRecord {
        fail(.refused(origin: origin, at: sent.offset, reason: error.reason), at: sent.offset)
        return false
      }
      faultPosition = sent.offset
      return true
    }
    guard offset == sent.offset, place == expected else {
      faultPosition = sent.offset
      return true
    }
    newSegments.add(
      OffsetSegment(origin: sent.offset, destination: expected, count: 1, direction))
    expected = expected + 1
    lastDigest = sent.digest
    records += 1
    bytes += Int64(sent.bytes)
    return false
  }

  mutating func takeCheckpoint(_ direction: Direction) -> MirrorCheckpoint {
    defer {
      newSegments.removeAll()
      isDirty = false
    }
    return MirrorCheckpoint(
      source: source, direction: direction, segments: newSegments, lastDigest: lastDigest,
      position: storedPosition)
  }
}

/// First in, first out, without moving elements on every removal.
struct FIFO<Element> {
  private var elements: [Element] = []
  private var head = 0

  var isEmpty: Bool { head == elements.count }
  var first: Element? { isEmpty ? nil : elements[head] }

  mutating func append(_ element: Element) { elements.append(element) }

  mutating func popFirst() -> Element? {
    guard head < elements.count else { return nil }
    let first = elements[head]
    head += 1
    if head == elements.count {
      elements.removeAll(keepingCapacity: true)
      head = 0
    } else if head > 4096, head * 2 > elements.count {
      elements.removeFirst(head)
      head = 0
    }
    return first
  }
}
