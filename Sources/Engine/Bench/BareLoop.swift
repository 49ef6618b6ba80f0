internal import Kafka
internal import KafkaModel
internal import Synchronization

/// The baseline: reads and writes as fast as one thread and librdkafka can, and remembers nothing.
actor BareLoop {
  nonisolated let executor = PinnedExecutor(name: "bare")
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  /// Copies until `records` were stored.
  ///
  /// Throws: ``KafkaError``, `CancellationError`.
  func copy(
    _ partitions: [TopicPartition], of source: ClusterConnection, to topic: String,
    on target: ClusterConnection, records: Int64
  ) throws {
    let consumer = try Consumer(source)
    let producer = try Producer(target)
    defer {
      producer.close(discarding: true)
      consumer.close()
    }
    let index = try producer.index(of: topic)
    for partition in partitions {
      _ = try consumer.index(of: partition.topic)
      try consumer.start(partition, at: .beginning)
    }
    var stored: Int64 = 0
    var outstanding = 0
    var failure: KafkaError?
    while stored < records {
      if outstanding < 100_000 {
        try consumer.consume(timeoutMilliseconds: outstanding == 0 ? 20 : 1) { message in
          guard case .record = message.kind else { return .free }
          do throws(KafkaError) {
            try producer.forward(message, to: index, partition: message.partition)
          } catch {
            failure = error
            return .free
          }
          outstanding += 1
          return .keep
        }
      }
      try producer.serve(timeoutMilliseconds: outstanding < 100_000 ? 0 : 5) { delivery in
        outstanding -= 1
        stored += 1
        if let error = producer.error(of: delivery) { failure = error }
      }
      if let failure { throw failure }
      try Task.checkCancellation()
    }
  }
}
