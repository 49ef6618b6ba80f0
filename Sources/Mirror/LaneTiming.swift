internal import Kafka

/// A lane's own clock, for a ``LaneMeter``.
struct LaneTiming {
  private let meter: LaneMeter
  private var handling = DurationHistogram()
  private var keeping = DurationHistogram()
  /// When each queue was seen empty last.
  private var empty: [ContinuousClock.Instant]
  private var queue = 0
  private var asked = ContinuousClock.now
  private var given: ContinuousClock.Instant?

  init(_ meter: LaneMeter) {
    self.meter = meter
    empty = Consumer.Queue.allCases.map { _ in .now }
  }

  /// The lane slept, and something woke it: whatever is there has just come.
  mutating func woke() {
    let now = ContinuousClock.now
    for index in empty.indices { empty[index] = now }
  }

  /// The lane asks a queue for records.
  mutating func begin(_ queue: Consumer.Queue) {
    self.queue = queue.rawValue
    asked = .now
    given = nil
  }

  /// A message was given out.
  mutating func returned() { if given == nil { given = .now } }

  /// The message was handed to the producer.
  mutating func forwarded() {
    let now = ContinuousClock.now
    handling.add((now - (given ?? now)).nanoseconds)
    keeping.add((now - empty[queue]).nanoseconds)
  }

  /// All messages were handled.
  mutating func end(_ queue: Consumer.Queue, isEmpty: Bool) {
    if isEmpty { empty[queue.rawValue] = asked }
    guard given != nil else { return }
    meter.add(handling: handling, keeping: keeping)
    handling.removeAll()
    keeping.removeAll()
  }
}

extension Duration {
  fileprivate var nanoseconds: UInt64 {
    let (seconds, attoseconds) = components
    return UInt64(max(0, seconds * 1_000_000_000 + attoseconds / 1_000_000_000))
  }
}
