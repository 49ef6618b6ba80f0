package import KafkaModel

/// Writes single records, on a thread of its own.
package actor RecordWriter {
  nonisolated let executor: PinnedExecutor
  package nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  private let producer: Producer
  private let cluster: String

  /// - Parameter properties: of librdkafka, besides the connection's.
  /// Throws: ``KafkaError`` - a property is wrong.
  package init(
    _ connection: ClusterConnection, properties: [String: String] = [:]
  ) throws(KafkaError) {
    executor = PinnedExecutor(name: "write-\(connection.name)")
    cluster = connection.name
    producer = try Producer(connection, properties: properties)
  }

  isolated deinit { producer.close(discarding: true) }

  /// Connects, so that a first record need not wait for that.
  ///
  /// Throws: ``KafkaError`` - no broker answers.
  package func prepare(_ topic: String) throws(KafkaError) { try producer.prepare([topic]) }

  /// Writes `records` in order and waits until all are stored.
  ///
  /// Returns: the offsets of the records.
  /// Throws: ``KafkaError`` - one was refused, or `patience` ran out.
  @discardableResult
  package func write(
    _ records: [Record], to partition: TopicPartition, patience: Duration = .seconds(15)
  ) throws(KafkaError) -> [Offset] {
    let topic = try producer.index(of: partition.topic)
    for (index, record) in records.enumerated() {
      try producer.produce(record, to: topic, partition: partition.partition, token: index + 1)
    }
    var offsets = Array(repeating: Offset(-1), count: records.count)
    var failure: KafkaError?
    let milliseconds = Int(patience / .milliseconds(1))
    let stored = try producer.flush(timeoutMilliseconds: milliseconds) { delivery in
      if let error = producer.error(of: delivery) { failure = error }
      offsets[delivery.token - 1] = delivery.offset
    }
    if let failure { throw failure }
    guard stored else { throw .timedOut("write to \(partition)", cluster: cluster) }
    return offsets
  }

  /// Writes one record.
  @discardableResult
  package func write(_ record: Record, to partition: TopicPartition) throws(KafkaError) -> Offset {
    try write([record], to: partition)[0]
  }
}
