internal import Kafka
internal import KafkaModel
internal import Synchronization

/// One thread that copies one rekeyed topic, in rounds: see ``RekeyRound``. A round's end is journalled
/// before it is written, and the cut behind it once all of it is stored.
actor RekeyLane {
  nonisolated let executor: PinnedExecutor
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  let topic: RekeyTopic
  let direction: Direction
  let store: any RekeyStore
  let consumer: Consumer
  let originAdmin: Admin
  let destinationAdmin: Admin
  let destinationReader: PartitionReader
  let settings: RekeyMirror.Settings
  let progress: MirrorProgress
  private let writer: RekeyWriter
  /// Partitions of the destination.
  private let places: Int32
  private let wakeUp = WakeUp()
  private let hasher = RecordHasher()
  private let budgets: SharedBudgets
  private let stopping = Atomic(false)
  private let hurrying: Atomic<Bool>
  /// Read and not written yet, by partition of the origin.
  private var held: [[Held]]
  private var heldCount = 0
  private var heldBytes = 0
  /// The next offset to take, by partition of the origin.
  private var next: [Offset]
  /// Where the end of what can be read was met last.
  private var met: [Offset?]
  private var carried: [(records: Int64, bytes: Int64, timestamp: Int64?)]
  private var isBackfill = false
  private var failure: (any Error)?

  /// A record, and what is asked of it while it waits: the message itself has left the processor's caches.
  struct Held {
    let held: HeldMessage
    let digest: RecordDigest
    let offset: Offset
    let bytes: Int
    /// The destination's partition that it belongs to.
    let place: Int32
  }

  init(
    _ topic: RekeyTopic, direction: Direction, origin: ClusterConnection,
    destination: ClusterConnection, store: any RekeyStore, settings: RekeyMirror.Settings,
    isUrgent: Bool, progress: MirrorProgress, sizes: DestinationSizes
  ) throws(KafkaError) {
    executor = PinnedExecutor(name: "rekey-\(direction.rawValue)")
    self.topic = topic
    self.direction = direction
    self.store = store
    self.settings = settings
    self.progress = progress
    budgets = SharedBudgets(settings.budgets)
    hurrying = Atomic(isUrgent)
    let limits = settings.limits
    consumer = try Consumer(
      origin,
      properties: [
        "queued.min.messages": String(limits.records * 2),
        "queued.max.messages.kbytes": String(max(1024, limits.bytes / 2048)),
        "fetch.wait.max.ms": "100",
      ])
    writer = try RekeyWriter(topic, direction, to: destination, sizes: sizes)
    originAdmin = try Admin(origin)
    destinationAdmin = try Admin(destination, readCommitted: false)
    destinationReader = try PartitionReader(destination)
    places = Int32(topic.count(on: direction.destination))
    let count = topic.count(on: direction.origin)
    held = Array(repeating: [], count: count)
    next = Array(repeating: Offset(0), count: count)
    met = Array(repeating: nil, count: count)
    carried = Array(repeating: (0, 0, nil), count: count)
  }

  isolated deinit { close() }

  /// Copies until ``stop()``, cancellation or an error.
  ///
  /// Throws: ``KafkaError`` - the next start has to reconcile; ``MirrorFault`` - nothing more can be
  /// copied; the store's error.
  func run() async throws {
    consumer.signal(wakeUp)
    writer.signal(wakeUp)
    defer {
      if isBackfill { settings.order.remove(settings.priority) }
      close()
    }
    var cut = try await reconcile()
    tell(cut)
    progress.trouble = nil
    var last = ContinuousClock.now
    while !isStopping {
      try fill(upTo: nil)
      guard heldCount > 0 else {
        noteEnd()
        tell(cut)
        if ContinuousClock.now - last > Self.rest {
          cut = try await passOver(after: cut)
          last = .now
        }
        wakeUp.wait(milliseconds: 100)
        continue
      }
      let end = zip(held, cut.ends(on: direction.origin)).map { held, start in
        held.last.map { $0.offset + 1 } ?? start
      }
      try await store.begin(topic.source, direction, to: end)
      cut = try await carry(takeRound(upTo: end), after: cut, to: end)
      noteEnd()
      tell(cut)
      // A slow tail makes no more than ten cuts a second, unless clients wait for it.
      let pause = .milliseconds(100) - (ContinuousClock.now - last)
      if !hurrying.load(ordering: .relaxed), pause > .zero, cut.records < 1000 {
        try? await Task.sleep(for: pause)
      }
      last = .now
    }
    if !Task.isCancelled { _ = try await passOver(after: cut) }
  }

  /// After so long without a record it is worth a cut where the origin's logs end: one each such time, however
  /// many transactions are aborted meanwhile.
  private static let rest = Duration.seconds(2)

  /// Notes a cut behind what nobody can read, transactions' markers and aborted records, if such stands
  /// behind the last one: retention may take that together with all before it, and no record is missing then.
  /// No round ends there, for some groups commit the offset behind the last record that they have read.
  private func passOver(after cut: RekeyCut) async throws -> RekeyCut {
    let known = cut.ends(on: direction.origin)
    let end = known.indices.map { index in
      guard let met = met[index], met >= next[index], held[index].isEmpty else {
        return known[index]
      }
      return max(known[index], met)
    }
    guard end != known else { return cut }
    try await store.begin(topic.source, direction, to: end)
    return try await carry(takeRound(upTo: end), after: cut, to: end)
  }

  nonisolated func stop() {
    stopping.store(true, ordering: .relaxed)
    wakeUp.wake()
  }

  nonisolated func hurry() {
    hurrying.store(true, ordering: .relaxed)
    wakeUp.wake()
  }

  private var isStopping: Bool { stopping.load(ordering: .relaxed) || Task.isCancelled }

  private func close() {
    // Held messages belong to the consumer, those under way to the producer until it has reported.
    held = []
    writer.close()
    consumer.close()
  }

  /// Starts reading at `cut`.
  ///
  /// - Parameter left: offsets that the origin still holds from there on.
  func open(at cut: RekeyCut, left: [Int64]) throws {
    next = cut.ends(on: direction.origin)
    for (partition, offset) in zip(topic.partitions(on: direction.origin), next) {
      try consumer.start(partition, at: .offset(offset))
    }
    if !hurrying.load(ordering: .relaxed), left.contains(where: { $0 > settings.limits.nearEnd }) {
      isBackfill = true
      settings.order.add(settings.priority)
    }
  }

  // MARK: Reading

  /// Takes what is at hand, up to the bounds of a round; or all up to `end`, however long that takes.
  ///
  /// Throws: ``KafkaError`` - a partition cannot be read from where it was to be; ``MirrorFault``.
  func fill(upTo end: [Offset]?) throws {
    while true {
      if let end {
        if next.indices.allSatisfy({ isPast($0, end[$0]) }) { return }
        if isStopping { throw CancellationError() }
      }
      let (budget, allowed) = end == nil ? portion() : (nil, 1024)
      guard allowed > 0, end != nil || !isFull else {
        if heldCount == 0 { wakeUp.wait(milliseconds: 20) }
        return
      }
      let before = heldBytes
      let left = end == nil ? settings.limits.records - heldCount : allowed
      let count = max(1, min(allowed, left))
      let received = try consumer.consume(max: count, timeoutMilliseconds: 0) { receive($0) }
      budget?.spend(received > 0 ? heldBytes - before : nil)
      if let failure { throw failure }
      guard received == 0 else { continue }
      if end == nil { return }
      wakeUp.wait(milliseconds: 100)
    }
  }

  private func isPast(_ partition: Int, _ end: Offset) -> Bool {
    next[partition] >= end || (met[partition] ?? Offset(-1)) >= end
  }

  private var isFull: Bool {
    heldCount >= settings.limits.records || heldBytes >= settings.limits.bytes
  }

  /// The budget that counts now, and how many records may be taken at once.
  private func portion() -> (SharedBudget, Int) {
    if isBackfill, hurrying.load(ordering: .relaxed) { endBackfill() }
    let budget = isBackfill ? budgets.backfill : budgets.tail
    if isBackfill, !settings.order.isTurn(of: settings.priority) { return (budget, 0) }
    let behind = next.indices.count { (met[$0] ?? Offset(-1)) < next[$0] }
    switch budget.portion(for: behind) {
    case nil: return (budget, 1024)
    case 0: return (budget, 0)
    // A portion is time's share of the rate: a few records at once keep near it.
    default: return (budget, 64)
    }
  }

  private func endBackfill() {
    isBackfill = false
    settings.order.remove(settings.priority)
  }

  private func receive(_ message: ConsumedMessage) -> ConsumedMessage.Disposition {
    let partition = Int(message.partition)
    guard next.indices.contains(partition), failure == nil else { return .free }
    switch message.kind {
    case .record:
      guard message.offset >= next[partition] else { return .free }
      let item = Held(
        held: HeldMessage(message), digest: hasher.digest(message), offset: message.offset,
        bytes: message.byteCount, place: message.murmur2Partition(count: places))
      held[partition].append(item)
      heldCount += 1
      heldBytes += item.bytes
      next[partition] = item.offset + 1
      return .keep
    case .endOfPartition:
      met[partition] = max(met[partition] ?? message.offset, message.offset)
    case .failure:
      let name = topic.partitions(on: direction.origin)[partition]
      let error = consumer.error(of: message, reading: name)
      if error.isOffsetOutOfRange {
        failure = error
      } else if !error.isRetriable {
        failure = MirrorFault.unreadable(origin: name, reason: error.summary)
      }
    }
    return .free
  }

  // MARK: Writing

  /// Takes out of what was read all that lies before `end`, dealt to the destination's partitions.
  func takeRound(upTo end: [Offset]) -> RekeyRound<Held> {
    var round = RekeyRound<Held>(partitions: Int(places))
    for partition in held.indices {
      let count =
        held[partition].firstIndex { $0.offset >= end[partition] } ?? held[partition].count
      guard count > 0 else { continue }
      let taken = held[partition].prefix(count)
      held[partition] = Array(held[partition].dropFirst(count))
      var bytes = 0
      for item in taken {
        round.add(item, to: item.place)
        bytes += item.bytes
      }
      carried[partition].records += Int64(count)
      carried[partition].bytes += Int64(bytes)
      carried[partition].timestamp = taken.last?.held.message.timestamp
      heldCount -= count
      heldBytes -= bytes
    }
    return round
  }

  /// Writes a round, but for the first records of each partition that stand there already, and notes the cut
  /// behind it.
  ///
  /// - Parameter known: the cut, where it is journalled already.
  /// Throws: ``KafkaError`` - it is not known what is stored; ``MirrorFault`` - a record was refused.
  func carry(
    _ round: RekeyRound<Held>, after cut: RekeyCut, to end: [Offset], present: [Int]? = nil,
    known: RekeyCut? = nil
  ) async throws -> RekeyCut {
    let starts = cut.ends(on: direction.destination)
    let present = present ?? starts.map { _ in 0 }
    try writer.write(round, at: starts, present: present) { isStopping }
    if let known { return known }
    let ends = zip(starts, round.items).map { $0 + Int64($1.count) }
    let isForward = direction == .forward
    let new = RekeyCut(
      number: cut.number + 1, kind: RekeyCut.Kind(direction), source: isForward ? end : ends,
      target: isForward ? ends : end, records: round.count)
    try await store.complete(topic.source, new)
    return new
  }

  // MARK: Progress

  /// Notes whether the end of all partitions was met.
  private func noteEnd() {
    guard isBackfill, met.indices.allSatisfy({ (met[$0] ?? Offset(-1)) >= next[$0] }) else {
      return
    }
    endBackfill()
  }

  private func tell(_ cut: RekeyCut) {
    let ends = cut.ends(on: direction.destination)
    var told: [TopicPartition: PartitionProgress] = [:]
    for (index, key) in topic.keys(on: direction.origin).enumerated() {
      var position = cut.ends(on: direction.origin)[index]
      let isAtEnd = held[index].isEmpty && (met[index] ?? Offset(-1)) >= next[index]
      if isAtEnd, let met = met[index] { position = max(position, met) }
      var progress = PartitionProgress(
        position: position, destinationEnd: index < ends.count ? ends[index] : Offset(.max))
      progress.records = carried[index].records
      progress.bytes = carried[index].bytes
      progress.timestamp = carried[index].timestamp
      progress.isAtEnd = isAtEnd
      progress.isBackfill = isBackfill
      told[key] = progress
    }
    progress.update(told)
  }
}
