package import Kafka
package import KafkaModel
internal import Logging
internal import Synchronization

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
  private let wakeUp = WakeUp()
  private let hasher = RecordHasher()
  private let store: any MapStore
  private let budgets: SharedBudgets
  private let meter: LaneMeter?
  private let order: BackfillOrder
  private let progress: MirrorProgress
  private let logger: Logger
  private let limits: LaneLimits
  private let stopping = Atomic(false)
  private let hurrying = Atomic(false)

  /// - Parameter queues: how many classes of partitions, tail and backfill, it will have.
  package init(
    direction: Direction, origin: ClusterConnection, destination: ClusterConnection,
    store: any MapStore, budgets: MirrorBudgets, order: BackfillOrder, progress: MirrorProgress,
    meter: LaneMeter? = nil, limits: LaneLimits, queues: Int, sizes: DestinationSizes, name: String
  ) throws(KafkaError) {
    executor = PinnedExecutor(name: name)
    self.direction = direction
    self.store = store
    self.budgets = SharedBudgets(budgets)
    self.meter = meter
    self.order = order
    self.progress = progress
    self.limits = limits
    logger = origin.logger
    // Each class of partitions has a queue of its own, and each queue these bounds.
    consumer = try Consumer(
      origin,
      properties: [
        "queued.min.messages": String(limits.records / max(1, queues)),
        "queued.max.messages.kbytes": String(limits.bytes / 2048 / max(1, queues)),
        "fetch.wait.max.ms": "100",
      ])
    producer = try Producer(destination, properties: sizes.producerProperties)
  }

  isolated deinit { close() }

  /// Connects to both clusters ahead of ``run(_:)``.
  ///
  /// - Parameter states: of the partitions that it will copy.
  /// Throws: ``KafkaError`` - a cluster does not answer.
  package func prepare(_ states: [MirrorState]) throws(KafkaError) {
    try consumer.prepare(Set(states.map { $0.partition(on: direction.origin).topic }))
    try producer.prepare(Set(states.map { $0.partition(on: direction.destination).topic }))
  }

  private func slots(of partitions: [LanePartition]) throws(KafkaError) -> SlotTable {
    SlotTable(
      try partitions.map { partition throws(KafkaError) in
        let from = partition.state.partition(on: direction.origin)
        let to = partition.state.partition(on: direction.destination)
        let slot = Slot(partition, direction, producerTopic: try producer.index(of: to.topic))
        return (slot, topic: try consumer.index(of: from.topic))
      })
  }

  /// Copies until ``stop()``, cancellation, or an error that ends the producer. In every case all that
  /// is known to be stored is checkpointed before it returns, and nothing is written afterwards: its clients
  /// are closed after an error, and otherwise have nothing left to write.
  ///
  /// Throws: ``KafkaError`` - the producer met a fatal error; or the store's error.
  package func run(_ partitions: [LanePartition]) async throws {
    consumer.signal(wakeUp)
    producer.signal(wakeUp)
    let slots = try slots(of: partitions)
    // A local variable: the loop below touches it several times a record, and what belongs to an actor
    // is checked at run time for overlapping accesses.
    var state = LaneState(
      slots: slots, saver: CheckpointSaver(store, telling: progress, waking: wakeUp))
    state.timing = meter.map { LaneTiming($0) }
    defer { for slot in state.slots.all where slot.backfill != nil { order.remove(slot.priority) } }
    for slot in slots.all where slot.backfill == nil {
      try consumer.start(slot.origin, at: .offset(slot.position))
    }
    do {
      try startBackfill(&state)
      try await loop(&state)
      // A stop leaves nothing in doubt if the destination answers in time; if not, the next start
      // reconciles.
      let deadline = ContinuousClock.now + .seconds(10)
      while state.outstandingRecords > 0, ContinuousClock.now < deadline {
        if try serve(&state) == 0 { wakeUp.wait(milliseconds: 50) }
        if let end = state.end { throw end }
      }
      if state.outstandingRecords > 0 {
        throw KafkaError.timedOut(
          "store \(state.outstandingRecords) records", cluster: direction.destination.rawValue)
      }
    } catch {
      takeLastReports(&state)
      try? await saveAll(&state)
      close()
      throw error
    }
    try await saveAll(&state)
    if let gap = state.gap { throw gap }
  }

  /// Takes the reports of a producer that has ended: one of them may tell of the record that ended it.
  private func takeLastReports(_ state: inout LaneState) {
    producer.discard()
    let deadline = ContinuousClock.now + .seconds(2)
    while state.outstandingRecords > 0, ContinuousClock.now < deadline {
      if (try? serve(&state)) == 0 { wakeUp.wait(milliseconds: 20) }
    }
  }

  /// Ends ``run(_:)`` soon.
  package nonisolated func stop() {
    stopping.store(true, ordering: .relaxed)
    wakeUp.wake()
  }

  /// Soon treats all backfill as tail: clients wait for it.
  package nonisolated func hurry() {
    hurrying.store(true, ordering: .relaxed)
    wakeUp.wake()
  }

  /// Ends both clients, if they have not ended yet, which takes as long as the fetch that is under way.
  func close() {
    producer.close(discarding: true)
    consumer.close()
  }

  private func loop(_ state: inout LaneState) async throws {
    var lastCheckpoint = ContinuousClock.now
    // Held messages belong to the consumer.
    defer { for line in state.heldBack.indices { state.heldBack[line].removeAll() } }
    while !stopping.load(ordering: .relaxed), !Task.isCancelled, state.gap == nil {
      let received = try read(&state)
      let served = try serve(&state)
      if let end = state.end { throw end }
      // What rests is told soon, since a cutover waits for it.
      let isResting = state.outstandingRecords == 0 && !state.dirty.isEmpty
      let interval = isResting ? limits.checkpointInterval / 4 : limits.checkpointInterval
      let now = ContinuousClock.now
      try await state.saver.look()
      if state.saver.isIdle, now >= lastCheckpoint + interval {
        checkpoint(&state)
        try startBackfill(&state)
        lastCheckpoint = now
      } else if received == 0, served == 0 {
        let woken = wakeUp.wait(milliseconds: state.isHeldBack ? 2 : (isResting ? 10 : 50))
        if woken { state.timing?.woke() }
      }
    }
  }

  /// Takes what waits, the tail first.
  ///
  /// Returns: how many messages there were.
  private func read(_ state: inout LaneState) throws -> Int {
    state.isHeldBack = false
    var received = 0
    if state.backfillLeft < state.slots.all.count {
      received += try read(.first, budgets.tail, limits.records, limits.bytes, &state)
    }
    if state.backfillLeft > 0 {
      // The tail finds room in any case.
      received += try read(
        .second, budgets.backfill, limits.records / 4 * 3, limits.bytes / 4 * 3, &state)
      try moveCaughtUp(&state)
    } else {
      // What is left of it is read again with the tail.
      state.heldBack[Consumer.Queue.second.rawValue].removeAll()
    }
    return received
  }

  private func read(
    _ queue: Consumer.Queue, _ budget: SharedBudget, _ records: Int, _ bytes: Int,
    _ state: inout LaneState
  ) throws -> Int {
    let line = queue.rawValue
    let hasRoom = state.pendingRecords < records && state.pendingBytes < bytes
    let portion = budget.portion(for: state.heldBack[line].lineCount)
    guard portion != nil || state.heldBack[line].count > 0 else {
      guard hasRoom else { return 0 }
      state.timing?.begin(queue)
      let received = try consumer.consume(
        from: queue, max: Consumer.batchCapacity, timeoutMilliseconds: 0
      ) { receive($0, &state) }
      state.timing?.end(queue, isEmpty: received < Consumer.batchCapacity)
      return received
    }
    state.isHeldBack = state.isHeldBack || portion == 0
    // A queue holds what brokers answered: a megabyte of one partition, or more, then one of the next. So
    // it is emptied ahead of the budget, and its partitions take turns here.
    var received = 0
    if hasRoom {
      received = try consumer.consume(
        from: queue, max: Consumer.batchCapacity, timeoutMilliseconds: 0
      ) { holdBack($0, line, &state) }
    }
    guard portion != 0 else { return received }
    let count = state.heldBack[line].count
    let before = state.outstandingBytes
    var turns = Turns<HeldMessage>()
    swap(&turns, &state.heldBack[line])
    turns.take(bytes: portion ?? .max) { $0.pass { receive($0, &state) } }
    swap(&turns, &state.heldBack[line])
    budget.spend(count > 0 ? state.outstandingBytes - before : nil)
    return received + count - state.heldBack[line].count
  }

  private func holdBack(
    _ message: ConsumedMessage, _ line: Int, _ state: inout LaneState
  ) -> ConsumedMessage.Disposition {
    guard let index = state.slots.index(message.topicIndex, message.partition) else { return .free }
    state.heldBack[line].append(HeldMessage(message), bytes: message.byteCount, to: index)
    return .keep
  }

  /// Begins to read the backfill whose turn it is.
  private func startBackfill(_ state: inout LaneState) throws {
    guard state.backfillLeft > 0 else { return }
    if hurrying.load(ordering: .relaxed) {
      for index in state.slots.all.indices where state.slots[index].backfill != nil {
        state.slots[index].backfill = .done
        state.caughtUp.append(index)
      }
      return try moveCaughtUp(&state)
    }
    for index in state.slots.all.indices where state.slots[index].backfill == .waiting {
      let slot = state.slots[index]
      guard slot.fault == nil, order.isTurn(of: slot.priority) else { continue }
      try consumer.start(slot.origin, at: .offset(slot.position), queue: .second)
      state.slots[index].backfill = .running
    }
  }

  /// What has met its end is tail from now on. What still waits of it is fetched again.
  private func moveCaughtUp(_ state: inout LaneState) throws {
    guard !state.caughtUp.isEmpty else { return }
    for index in state.caughtUp where state.slots[index].backfill == .done {
      let slot = state.slots[index]
      if slot.fault == nil {
        consumer.stop(slot.origin)
        try consumer.start(slot.origin, at: .offset(slot.position))
      }
      state.slots[index].backfill = nil
      state.backfillLeft -= 1
      order.remove(slot.priority)
    }
    state.caughtUp.removeAll()
  }

  private func receive(
    _ message: ConsumedMessage, _ state: inout LaneState
  ) -> ConsumedMessage.Disposition {
    state.timing?.returned()
    let (topic, partition) = (message.topicIndex, message.partition)
    guard let index = state.slots.index(topic, partition), state.slots[index].fault == nil
    else { return .free }
    switch message.kind {
    case .record:
      // A partition that was stopped and started again may still deliver what was queued before.
      guard message.offset >= state.slots[index].position else { return .free }
      return forward(message, index, &state)
    case .endOfPartition:
      state.change(index) {
        $0.position = max($0.position, message.offset)
        $0.isAtEnd = true
      }
      if state.slots[index].backfill == .running {
        state.slots[index].backfill = .done
        state.caughtUp.append(index)
      }
    case .failure:
      let slot = state.slots[index]
      let error = consumer.error(of: message, reading: slot.origin)
      if error.isOffsetOutOfRange {
        // The origin dropped what was to be read next, or it ends before that. Reconciliation knows
        // what to do about a gap.
        if consumer.logStart(of: slot.origin) ?? slot.position + 1 > slot.position {
          state.gap = error
        } else {
          state.change(index) { $0.fail(.originChanged(origin: slot.origin, at: slot.position)) }
        }
      } else if !error.isRetriable {
        state.change(index) { $0.fail(.unreadable(origin: slot.origin, reason: error.summary)) }
      }
    }
    return .free
  }

  private func forward(
    _ message: ConsumedMessage, _ index: Int, _ state: inout LaneState
  ) -> ConsumedMessage.Disposition {
    let bytes = message.byteCount
    let offset = message.offset
    let digest = hasher.digest(message)
    do {
      try producer.forward(
        message, to: state.slots[index].producerTopic,
        partition: state.slots[index].destination.partition)
    } catch {
      if error.refusesRecord {
        state.change(index) {
          $0.fail(.refused(origin: $0.origin, at: offset, reason: error.reason), at: offset)
        }
      } else {
        state.end = error
      }
      return .free
    }
    state.timing?.forwarded()
    state.slots[index].sent(InFlight(offset: offset, digest: digest, bytes: bytes))
    state.outstandingRecords += 1
    state.outstandingBytes += bytes
    return .keep
  }

  /// Takes the reports that wait.
  ///
  /// Returns: how many batches of them there were.
  private func serve(_ state: inout LaneState) throws -> Int {
    try producer.serve(timeoutMilliseconds: 0) { delivery in
      guard let message = delivery.message else { return }
      state.outstandingRecords -= 1
      state.outstandingBytes -= message.byteCount
      // Asked for first: the table would be retained while the message is asked.
      let (topic, partition) = (message.topicIndex, message.partition)
      guard let index = state.slots.index(topic, partition) else { return }
      let error = delivery.isStored ? nil : producer.error(of: delivery)
      let isInDoubt = state.change(index) {
        $0.timestamp = message.timestamp
        return $0.deliver(message.offset, at: delivery.offset, error, direction)
      }
      guard isInDoubt, state.end == nil else { return }
      let slot = state.slots[index]
      state.end =
        error
        ?? .unexpectedOffset(
          delivery.offset, expected: slot.expected, in: slot.destination,
          cluster: direction.destination.rawValue)
    }
  }

  /// Waits until all that is known to be stored is noted.
  private func saveAll(_ state: inout LaneState) async throws {
    try await state.saver.finish()
    checkpoint(&state)
    try await state.saver.finish()
  }

  /// Begins to note what is known to be stored.
  private func checkpoint(_ state: inout LaneState) {
    guard !state.dirty.isEmpty else { return }
    var checkpoints: [MirrorCheckpoint] = []
    var changes: [TopicPartition: PartitionProgress] = [:]
    for index in state.dirty {
      if let fault = state.slots[index].fault, !state.slots[index].isStopped {
        logger.error("\(fault.summary)")
        consumer.stop(state.slots[index].origin)
        state.slots[index].isStopped = true
        if state.slots[index].backfill != nil {
          // Nobody waits for it any more.
          order.remove(state.slots[index].priority)
          state.slots[index].backfill = nil
          state.backfillLeft -= 1
        }
      }
      changes[state.slots[index].source] = state.slots[index].progress
      checkpoints.append(state.slots[index].takeCheckpoint(direction))
    }
    state.dirty.removeAll(keepingCapacity: true)
    state.saver.save(checkpoints, changes)
  }
}
