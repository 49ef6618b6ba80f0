internal import Kafka
internal import KafkaModel

/// Reads many short ranges of one cluster together: they share fetches. One by one, each partition costs
/// a round trip at least, and a seal before a cutover reads the last few records of a thousand.
final class RangeBatch {
  private struct Place: Hashable {
    let topic: Int
    let partition: Int32
  }

  private let consumer: Consumer
  private let hasher: RecordHasher
  private let throttle: Throttle
  private let reader: Throttle.Reader

  init(_ consumer: Consumer, _ hasher: RecordHasher, _ throttle: Throttle) {
    self.consumer = consumer
    self.hasher = hasher
    self.throttle = throttle
    reader = throttle.reader()
  }

  /// Reads the ranges to their ends.
  ///
  /// Returns: their records, by their number.
  /// Throws: ``KafkaError`` - a partition cannot be read.
  func read(
    _ ranges: [(partition: TopicPartition, range: Range<Offset>)]
  ) throws(KafkaError) -> [[RecordStream.Element]] {
    var found: [[RecordStream.Element]] = Array(repeating: [], count: ranges.count)
    var waiting: [Place: Int] = [:]
    for (index, each) in ranges.enumerated() where !each.range.isEmpty {
      let topic = try consumer.index(of: each.partition.topic)
      waiting[Place(topic: topic, partition: each.partition.partition)] = index
    }
    defer { for each in ranges { consumer.stop(each.partition) } }
    for each in ranges where !each.range.isEmpty {
      try consumer.start(each.partition, at: .offset(each.range.lowerBound))
    }
    var failure: KafkaError?
    var lastHeard = ContinuousClock.now
    while !waiting.isEmpty, failure == nil {
      if throttle.portion(for: reader) == 0 {
        throttle.wait(for: reader)
        lastHeard = .now
      }
      var bytes = 0
      let received = try consumer.consume(timeoutMilliseconds: 50) { message in
        let place = Place(topic: message.topicIndex, partition: message.partition)
        guard let index = waiting[place] else { return .free }
        let range = ranges[index].range
        switch message.kind {
        case .record where message.offset >= range.upperBound: waiting[place] = nil
        case .record where message.offset >= range.lowerBound:
          bytes += message.byteCount
          found[index].append(RecordStream.Element(message, hasher))
          if message.offset + 1 >= range.upperBound { waiting[place] = nil }
        case .record: break
        case .endOfPartition:
          if message.offset >= range.lowerBound { waiting[place] = nil }
        case .failure:
          let error = consumer.error(of: message, reading: ranges[index].partition)
          if !error.isRetriable { failure = error }
        }
        return .free
      }
      throttle.spend(received > 0 ? bytes : nil, for: reader)
      if received > 0 { lastHeard = .now }
      if ContinuousClock.now - lastHeard > .seconds(30), let index = waiting.values.first {
        failure = .timedOut("read \(ranges[index].partition)", cluster: consumer.cluster)
      }
    }
    if let failure { throw failure }
    return found
  }
}
