package import KafkaModel

/// Reads stretches of partitions on a thread of its own, one stretch at a time.
package actor PartitionReader {
  nonisolated let executor: PinnedExecutor
  package nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  private let consumer: Consumer
  private let hasher = RecordHasher()

  /// A record's place and digest.
  package struct Digested: Hashable, Sendable {
    package let offset: Offset
    package let digest: RecordDigest

    package init(offset: Offset, digest: RecordDigest) {
      self.offset = offset
      self.digest = digest
    }
  }

  /// As ``Digested``, with what compaction goes by.
  package struct Keyed: Hashable, Sendable {
    package let record: Digested
    package let key: [UInt8]?
    package let isTombstone: Bool

    package init(record: Digested, key: [UInt8]?, isTombstone: Bool) {
      self.record = record
      self.key = key
      self.isTombstone = isTombstone
    }
  }

  /// Throws: ``KafkaError`` - a property is wrong.
  package init(_ connection: ClusterConnection) throws(KafkaError) {
    executor = PinnedExecutor(name: "read-\(connection.name)")
    consumer = try Consumer(connection, properties: Consumer.stretches)
  }

  isolated deinit { consumer.close() }

  /// Connects, so that a first stretch need not wait for that.
  ///
  /// Throws: ``KafkaError`` - no broker answers.
  package func prepare(_ topics: Set<String>) throws(KafkaError) { try consumer.prepare(topics) }

  /// Reads up to `limit` records from `start` on, none at or behind `end`, and stops at the end of what
  /// can be read.
  ///
  /// - Parameter silence: how long the cluster may say nothing before this gives up.
  /// Throws: ``KafkaError`` - the partition cannot be read; code `_TIMED_OUT` after `silence`.
  package func digests(
    of partition: TopicPartition, from start: Offset, limit: Int = .max, before end: Offset? = nil,
    silence: Duration = .seconds(30)
  ) throws(KafkaError) -> [Digested] {
    var found: [Digested] = []
    try read(partition, from: start, limit: limit, before: end, silence: silence) { message in
      found.append(Digested(offset: message.offset, digest: hasher.digest(message)))
      return true
    }
    return found
  }

  /// As ``digests(of:from:limit:before:silence:)``, with whole records.
  package func records(
    of partition: TopicPartition, from start: Offset, limit: Int = .max, before end: Offset? = nil,
    silence: Duration = .seconds(30)
  ) throws(KafkaError) -> [(offset: Offset, record: Record)] {
    var found: [(offset: Offset, record: Record)] = []
    try read(partition, from: start, limit: limit, before: end, silence: silence) { message in
      found.append((message.offset, message.copy()))
      return true
    }
    return found
  }

  /// As ``digests(of:from:limit:before:silence:)``, with keys.
  package func keyed(
    of partition: TopicPartition, from start: Offset, before end: Offset,
    silence: Duration = .seconds(30)
  ) throws(KafkaError) -> [Keyed] {
    var found: [Keyed] = []
    try read(partition, from: start, before: end, silence: silence) { message in
      found.append(
        Keyed(
          record: Digested(offset: message.offset, digest: hasher.digest(message)),
          key: message.key, isTombstone: message.isTombstone))
      return true
    }
    return found
  }

  /// Whether a record of each key stands at or behind the offset that is given with it.
  ///
  /// Throws: as ``digests(of:from:limit:before:silence:)``.
  package func holds(
    _ keys: [[UInt8]: Offset], in partition: TopicPartition, silence: Duration = .seconds(30)
  ) throws(KafkaError) -> Bool {
    var missing = keys
    guard let start = keys.values.min() else { return true }
    try read(partition, from: start, silence: silence) { message in
      if let key = message.key, let least = missing[key], message.offset >= least {
        missing[key] = nil
      }
      return !missing.isEmpty
    }
    return missing.isEmpty
  }

  /// The first record at or after each offset, of many partitions at once: they share fetches.
  ///
  /// Returns: by partition; absent where no record follows.
  /// Throws: ``KafkaError`` - a partition cannot be read; code `_TIMED_OUT` after `silence`.
  package func firstDigests(
    at starts: [TopicPartition: Offset], silence: Duration = .seconds(30)
  ) throws(KafkaError) -> [TopicPartition: Digested] {
    struct Place: Hashable {
      let topic: Int
      let partition: Int32
    }
    var found: [TopicPartition: Digested] = [:]
    var waiting: [Place: TopicPartition] = [:]
    for partition in starts.keys {
      let topic = try consumer.index(of: partition.topic)
      waiting[Place(topic: topic, partition: partition.partition)] = partition
    }
    defer { for partition in starts.keys { consumer.stop(partition) } }
    for (partition, start) in starts { try consumer.start(partition, at: .offset(start)) }
    var failure: KafkaError?
    var lastHeard = ContinuousClock.now
    while !waiting.isEmpty, failure == nil {
      let count = try consumer.consume(timeoutMilliseconds: 50) { message in
        let place = Place(topic: message.topicIndex, partition: message.partition)
        guard let partition = waiting[place], let start = starts[partition] else { return .free }
        switch message.kind {
        case .record:
          guard message.offset >= start else { break }
          found[partition] = Digested(offset: message.offset, digest: hasher.digest(message))
          waiting[place] = nil
        case .endOfPartition:
          if message.offset >= start { waiting[place] = nil }
        case .failure:
          let error = consumer.error(of: message, reading: partition)
          if !error.isRetriable { failure = error }
        }
        return .free
      }
      if count > 0 { lastHeard = .now }
      if ContinuousClock.now - lastHeard > silence, let partition = waiting.values.first {
        failure = .timedOut("read \(partition)", cluster: consumer.cluster)
      }
    }
    if let failure { throw failure }
    return found
  }

  /// Reads until `body` has had enough, too.
  private func read(
    _ partition: TopicPartition, from start: Offset, limit: Int = .max, before end: Offset? = nil,
    silence: Duration, _ body: (ConsumedMessage) -> Bool
  ) throws(KafkaError) {
    if let end, start >= end { return }
    let topic = try consumer.index(of: partition.topic)
    try consumer.start(partition, at: .offset(start))
    defer { consumer.stop(partition) }
    var taken = 0
    var finished = limit == 0
    var failure: KafkaError?
    var lastHeard = ContinuousClock.now
    while !finished, failure == nil {
      let count = try consumer.consume(timeoutMilliseconds: 50) { message in
        // Another stretch's leftovers may still be queued.
        guard message.topicIndex == topic, message.partition == partition.partition, !finished
        else { return .free }
        switch message.kind {
        case .record:
          if message.offset < start { break }
          if let end, message.offset >= end {
            finished = true
            break
          }
          taken += 1
          finished = !body(message) || taken == limit
        case .endOfPartition:
          finished = message.offset >= start
        case .failure:
          let error = consumer.error(of: message, reading: partition)
          if !error.isRetriable { failure = error }
        }
        return .free
      }
      if count > 0 { lastHeard = .now }
      if ContinuousClock.now - lastHeard > silence {
        failure = .timedOut("read \(partition) from offset \(start)", cluster: consumer.cluster)
      }
    }
    if let failure { throw failure }
  }
}
