internal import Kafka
internal import KafkaModel

/// Writes the rounds of one rekeyed topic. Belongs to a ``RekeyLane``'s thread.
struct RekeyWriter {
  private let topic: RekeyTopic
  private let direction: Direction
  private let producer: Producer
  private let producerTopic: Int

  init(
    _ topic: RekeyTopic, _ direction: Direction, to destination: ClusterConnection,
    sizes: DestinationSizes
  ) throws(KafkaError) {
    self.topic = topic
    self.direction = direction
    producer = try Producer(destination, properties: sizes.producerProperties)
    producerTopic = try producer.index(of: topic.partitions(on: direction.destination)[0].topic)
  }

  func signal(_ wakeUp: WakeUp) { producer.signal(wakeUp) }

  func close() { producer.close(discarding: true) }

  /// Writes a round, but for the first records of each partition that stand there already, and waits until
  /// all of it is stored; once `isStopping`, for ten seconds.
  ///
  /// - Parameters:
  ///   - starts: where each partition's round begins.
  ///   - present: how many records of it stand there.
  /// Throws: ``KafkaError`` - it is not known what is stored; ``MirrorFault`` - a record was refused.
  func write(
    _ round: RekeyRound<RekeyLane.Held>, at starts: [Offset], present: [Int],
    isStopping: () -> Bool
  ) throws {
    var expected = zip(starts, present).map { $0 + Int64($1) }
    var outstanding = 0
    var failed: (any Error)?
    func serve(_ milliseconds: Int32) throws {
      try producer.serve(timeoutMilliseconds: milliseconds) { delivery in
        guard let message = delivery.message else { return }
        outstanding -= 1
        guard failed == nil else { return }
        failed = doubt(delivery, message, &expected)
      }
      if let failed { throw failed }
    }
    // Within a partition in its order; between partitions order means nothing.
    for (partition, items) in round.items.enumerated() {
      for item in items.dropFirst(present[partition]) {
        do {
          try item.held.forward(with: producer, to: producerTopic, partition: Int32(partition))
        } catch {
          throw error.refusesRecord ? refused(item.held.message, error) : error
        }
        outstanding += 1
        if outstanding % 1024 == 0 { try serve(0) }
      }
    }
    var deadline: ContinuousClock.Instant?
    while outstanding > 0 {
      try serve(50)
      guard isStopping() else { continue }
      // A stop leaves nothing in doubt if the destination answers in time; if not, the next start
      // reconciles.
      deadline = deadline ?? .now + .seconds(10)
      if let deadline, .now > deadline {
        throw KafkaError.timedOut(
          "store \(outstanding) records", cluster: direction.destination.rawValue)
      }
    }
  }

  /// What a report leaves in doubt; `nil` where the record stands where it has to.
  private func doubt(
    _ delivery: Producer.Delivery, _ message: ConsumedMessage, _ expected: inout [Offset]
  ) -> (any Error)? {
    if let error = producer.error(of: delivery) {
      return error.refusesRecord ? refused(message, error) : error
    }
    let place = Int(delivery.partition)
    guard delivery.offset == expected[place] else {
      return KafkaError.unexpectedOffset(
        delivery.offset, expected: expected[place],
        in: topic.partitions(on: direction.destination)[place],
        cluster: direction.destination.rawValue)
    }
    expected[place] = expected[place] + 1
    return nil
  }

  private func refused(_ message: ConsumedMessage, _ error: KafkaError) -> MirrorFault {
    .refused(
      origin: topic.partitions(on: direction.origin)[Int(message.partition)], at: message.offset,
      reason: error.reason)
  }
}
