internal import Kafka
internal import KafkaModel

/// One side's records, in order, as digests, with a little look-ahead.
final class RecordStream {
  struct Element: Equatable {
    let offset: Offset
    let digest: RecordDigest
    let parts: RecordHasher.Parts
    let isTombstone: Bool

    init(_ message: ConsumedMessage, _ hasher: RecordHasher) {
      offset = message.offset
      (digest, parts) = hasher.digestAndParts(message)
      isTombstone = message.isTombstone
    }

    /// Records are the same wherever they stand.
    static func == (lhs: Element, rhs: Element) -> Bool { lhs.digest == rhs.digest }

    func fieldsDiffering(from other: Element) -> [String] {
      var fields: [String] = []
      if parts.key != other.parts.key { fields.append("key") }
      if parts.value != other.parts.value { fields.append("value") }
      if parts.headers != other.parts.headers { fields.append("headers") }
      if parts.timestamp != other.parts.timestamp { fields.append("timestamp") }
      return fields
    }
  }

  /// `nil` where all was read before.
  private let consumer: Consumer?
  private let partition: TopicPartition
  private let topic: Int
  private let range: Range<Offset>
  private let hasher: RecordHasher
  private let throttle: Throttle
  private let reader: Throttle.Reader
  private var buffer: [Element] = []
  private var head = 0
  private var finished: Bool
  private var lastHeard = ContinuousClock.now
  private(set) var count: Int64 = 0

  init(
    _ consumer: Consumer, _ partition: TopicPartition, _ range: Range<Offset>,
    _ hasher: RecordHasher, _ throttle: Throttle
  ) throws(KafkaError) {
    self.consumer = consumer
    self.partition = partition
    self.range = range
    self.hasher = hasher
    self.throttle = throttle
    reader = throttle.reader()
    topic = try consumer.index(of: partition.topic)
    finished = range.isEmpty
    if !finished { try consumer.start(partition, at: .offset(range.lowerBound)) }
  }

  /// A range that was read before.
  init(
    _ partition: TopicPartition, _ range: Range<Offset>, _ elements: [Element],
    _ hasher: RecordHasher, _ throttle: Throttle
  ) {
    consumer = nil
    self.partition = partition
    self.range = range
    self.hasher = hasher
    self.throttle = throttle
    reader = throttle.reader()
    topic = -1
    buffer = elements
    finished = true
  }

  func close() { consumer?.stop(partition) }

  /// The next record; `nil` behind the last one in range.
  func peek() throws(KafkaError) -> Element? {
    while head == buffer.count {
      if finished { return nil }
      try fill()
    }
    return buffer[head]
  }

  func advance() {
    head += 1
    count += 1
  }

  /// How many records lie before the next one that equals `element`; `nil` if none does in `window`.
  func distance(to element: Element, within window: Int) throws(KafkaError) -> Int? {
    if let next = try peek(), next == element { return 0 }
    while buffer.count - head < window, !finished { try fill() }
    let ahead = buffer[head...].prefix(window)
    return ahead.firstIndex(of: element).map { $0 - head }
  }

  private func fill() throws(KafkaError) {
    guard let consumer else { return }
    buffer.removeFirst(head)
    head = 0
    if throttle.portion(for: reader) == 0 {
      throttle.wait(for: reader)
      lastHeard = .now
    }
    var failure: KafkaError?
    var bytes = 0
    let received = try consumer.consume(timeoutMilliseconds: 50) { message in
      guard message.topicIndex == topic, message.partition == partition.partition, !finished
      else { return .free }
      switch message.kind {
      case .record where message.offset >= range.upperBound: finished = true
      case .record where message.offset >= range.lowerBound:
        bytes += message.byteCount
        buffer.append(Element(message, hasher))
        if message.offset + 1 >= range.upperBound { finished = true }
      case .record: break
      case .endOfPartition: finished = message.offset >= range.lowerBound
      case .failure:
        let error = consumer.error(of: message, reading: partition)
        if !error.isRetriable { failure = error }
      }
      return .free
    }
    throttle.spend(received > 0 ? bytes : nil, for: reader)
    if received > 0 { lastHeard = .now }
    if ContinuousClock.now - lastHeard > .seconds(30) {
      failure = .timedOut("read \(partition)", cluster: consumer.cluster)
    }
    if let failure { throw failure }
  }
}
