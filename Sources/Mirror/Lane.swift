package import Kafka
package import KafkaModel
internal import Logging

/// One thread that copies a set of partitions: one consumer, one producer, no copy of any payload.
///
/// Records of a partition are delivered in the order in which they were read, and each must land right
/// behind the one before it; anything else stops the partition.
package actor Lane {
  nonisolated let executor: PinnedExecutor
  package nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  private let direction: Direction
  private let consumer: Consumer
  private let producer: Producer
  private let hasher = RecordHasher()
  private let store: any MapStore
  private let throttle: Throttle
  private let progress: MirrorProgress
  private let logger: Logger
  private let limits: LaneLimits
  /// By consumer topic index and partition.
  private var slots: [[Int32: Slot]] = []
  private var outstandingRecords = 0
  private var outstandingBytes = 0
  private var stopping = false
  /// Why the lane has to end, if it has: the producer ended, or what it wrote is in doubt.
  private var end: KafkaError?

  package init(
    direction: Direction, origin: ClusterConnection, destination: ClusterConnection,
    partitions: [MirrorState], store: any MapStore, throttle: Throttle, progress: MirrorProgress,
    limits: LaneLimits, name: String
  ) throws(KafkaError) {
    executor = PinnedExecutor(name: name)
    self.direction = direction
    self.store = store
    self.throttle = throttle
    self.progress = progress
    self.limits = limits
    logger = origin.logger
    consumer = try Consumer(
      origin,
      properties: [
        "queued.max.messages.kbytes": String(limits.bytes / 2048),
        "fetch.wait.max.ms": "100",
        "fetch.error.backoff.ms": "100",
      ])
    producer = try Producer(destination)
    for partition in partitions {
      let from = partition.partition(on: direction.origin)
      let to = partition.partition(on: direction.destination)
      let index = try consumer.index(of: from.topic)
      while slots.count <= index { slots.append([:]) }
      slots[index][from.partition] = Slot(
        partition, direction, producerTopic: try producer.index(of: to.topic))
    }
  }

  isolated deinit {
    producer.close(discarding: true)
    consumer.close()
  }

  /// Copies until ``stop()``, cancellation, or an error that ends the producer. In every case all that
  /// is known to be stored is checkpointed before it returns.
  ///
  /// Throws: ``KafkaError`` - the producer met a fatal error; or the store's error.
  package func run() async throws {
    for slot in slots.flatMap(\.values) {
      try consumer.start(slot.origin, at: .offset(slot.position))
    }
    do {
      try await loop()
      // A stop leaves nothing in doubt if the destination answers in time; if not, the next start
      // reconciles.
      let deadline = ContinuousClock.now + .seconds(10)
      while outstandingRecords > 0, ContinuousClock.now < deadline { try serve(milliseconds: 50) }
    } catch {
      try? await checkpoint()
      close()
      throw error
    }
    try await checkpoint()
    close()
  }

  /// Ends ``run()`` soon.
  package func stop() { stopping = true }

  private func close() {
    producer.close(discarding: true)
    consumer.close()
  }

  private func loop() async throws {
    var nextCheckpoint = ContinuousClock.now + limits.checkpointInterval
    while !stopping, !Task.isCancelled {
      let mayRead =
        outstandingRecords < limits.records && outstandingBytes < limits.bytes && throttle.isOpen
      var received = 0
      if mayRead {
        received = try consumer.consume(timeoutMilliseconds: outstandingRecords == 0 ? 20 : 1) {
          receive($0)
        }
      }
      try serve(milliseconds: received > 0 ? 0 : 5)
      try throwIfEnded()
      let now = ContinuousClock.now
      if now >= nextCheckpoint {
        try await checkpoint()
        nextCheckpoint = now + limits.checkpointInterval
      }
      await Task.yield()
    }
  }

  private func receive(_ message: ConsumedMessage) -> ConsumedMessage.Disposition {
    let topic = message.topicIndex
    guard slots.indices.contains(topic),
      var slot = slots[topic].removeValue(forKey: message.partition)
    else { return .free }
    defer { slots[topic][message.partition] = slot }
    guard slot.fault == nil else { return .free }
    switch message.kind {
    case .record:
      // A partition that was stopped and started again may still deliver what was queued before.
      guard message.offset >= slot.position else { return .free }
      return forward(message, &slot)
    case .endOfPartition:
      slot.position = max(slot.position, message.offset)
      slot.isAtEnd = true
      slot.isDirty = true
      return .free
    case .failure:
      let error = consumer.error(of: message, reading: slot.origin)
      if error.isOffsetOutOfRange {
        // The origin dropped what was to be read next, or it ends before that.
        let start = consumer.logStart(of: slot.origin) ?? slot.position + 1
        slot.fail(
          start > slot.position
            ? .retentionGap(origin: slot.origin, from: slot.position, to: start)
            : .originChanged(origin: slot.origin, at: slot.position))
      } else if !error.isRetriable {
        slot.fail(.unreadable(origin: slot.origin, reason: error.summary))
      }
      return .free
    }
  }

  private func forward(
    _ message: ConsumedMessage, _ slot: inout Slot
  ) -> ConsumedMessage.Disposition {
    let bytes = message.byteCount
    let offset = message.offset
    let digest = hasher.digest(message)
    do {
      try producer.forward(
        message, to: slot.producerTopic, partition: slot.destination.partition)
    } catch {
      if error.endsProducer {
        end = error
      } else {
        slot.fail(.refused(origin: slot.origin, at: offset, reason: error.reason), at: offset)
      }
      return .free
    }
    slot.inFlight.append(InFlight(offset: offset, digest: digest, bytes: bytes))
    slot.position = offset + 1
    slot.isAtEnd = false
    outstandingRecords += 1
    outstandingBytes += bytes
    throttle.spend(bytes)
    return .keep
  }

  private func serve(milliseconds: Int32) throws {
    try producer.serve(timeoutMilliseconds: milliseconds) { delivery in
      guard let message = delivery.message else { return }
      if let error = delivery.error, error.endsProducer { end = error }
      outstandingRecords -= 1
      outstandingBytes -= message.byteCount
      let topic = message.topicIndex
      guard var slot = slots[topic].removeValue(forKey: message.partition) else { return }
      if slot.deliver(delivery, direction) {
        end = .unexpectedOffset(
          delivery.offset, expected: slot.expected, in: slot.destination,
          cluster: direction.destination.rawValue)
      }
      slots[topic][message.partition] = slot
    }
  }

  private func throwIfEnded() throws(KafkaError) {
    if let end { throw end }
  }

  private func checkpoint() async throws {
    var checkpoints: [MirrorCheckpoint] = []
    var changes: [TopicPartition: PartitionProgress] = [:]
    for topic in slots.indices {
      for (partition, slot) in slots[topic] {
        if let fault = slot.fault, !slot.isStopped {
          logger.error("\(fault.summary)")
          consumer.stop(slot.origin)
          slots[topic][partition]!.isStopped = true
          changes[slot.source] = slot.progress
        }
        guard slot.isDirty else { continue }
        changes[slot.source] = slot.progress
        checkpoints.append(slots[topic][partition]!.takeCheckpoint(direction))
      }
    }
    if !checkpoints.isEmpty { try await store.append(checkpoints) }
    // Progress is told after it is durable, so that whoever waits for it may rely on the map.
    if !changes.isEmpty { progress.update(changes) }
  }
}
