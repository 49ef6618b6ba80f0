internal import CRdKafka
package import KafkaModel

/// Reads partitions from chosen offsets, `read_committed`, without a consumer group: nothing is written
/// to the cluster, not even a commit, and only read permission on the topics is needed.
///
/// Not thread-safe and its methods block: it belongs to one actor pinned by a ``PinnedExecutor``.
@safe package final class Consumer {
  private let handle: ClientHandle
  private let queues: [OpaquePointer]
  private var topics: [OpaquePointer] = unsafe []
  private var indexes: [String: Int] = [:]
  private var started: Set<TopicPartition> = []
  private let batch: UnsafeMutablePointer<UnsafeMutablePointer<rd_kafka_message_t>?>
  /// The most messages that are taken at once.
  package static let batchCapacity = 4096
  private var pokes: [FetchPoke]

  /// Where messages wait to be taken. librdkafka bounds each by itself, so that a full queue does not
  /// keep it from fetching for the other.
  package enum Queue: Int, CaseIterable, Sendable { case first, second }

  /// Where reading starts.
  package enum Position: Hashable, Sendable {
    case offset(Offset)
    case beginning
    case end
  }

  /// Properties for reading stretches of partitions one after the other: stopping one waits for the
  /// fetch that is under way, which therefore must not wait long for records.
  package static let stretches = ["fetch.wait.max.ms": "10"]

  /// Throws: ``KafkaError`` - a property is wrong. Does not wait for the cluster.
  package init(
    _ connection: ClusterConnection, properties: [String: String] = [:]
  ) throws(KafkaError) {
    var own = [
      // A simple consumer never joins a group, but librdkafka wants the name.
      "group.id": "ferry",
      "enable.auto.commit": "false",
      "enable.auto.offset.store": "false",
      "enable.partition.eof": "true",
      "isolation.level": "read_committed",
      "check.crcs": "true",
      "fetch.error.backoff.ms": "50",
    ]
    own.merge(properties) { _, given in given }
    handle = try ClientHandle(RD_KAFKA_CONSUMER, connection, properties: own)
    pokes = Queue.allCases.map { _ in FetchPoke(connection) }
    let pointer = unsafe handle.pointer
    unsafe queues = Queue.allCases.map { _ in unsafe rd_kafka_queue_new(pointer) }
    unsafe batch = .allocate(capacity: Self.batchCapacity)
  }

  deinit { close() }

  private var closed = false

  /// Stops all partitions and ends the client's threads.
  package func close() {
    guard !closed else { return }
    closed = true
    for partition in started {
      unsafe rd_kafka_consume_stop(topics[indexes[partition.topic]!], partition.partition)
    }
    for index in unsafe topics.indices { unsafe rd_kafka_topic_destroy(topics[index]) }
    for index in unsafe queues.indices {
      unsafe WakeUp.detach(queues[index])
      unsafe rd_kafka_queue_destroy(queues[index])
    }
    handle.destroy()
    unsafe batch.deallocate()
  }

  package var cluster: String { handle.cluster }

  /// The index that ``ConsumedMessage/topicIndex`` gives for `topic`.
  package func index(of topic: String) throws(KafkaError) -> Int {
    if let known = indexes[topic] { return known }
    let configuration = unsafe rd_kafka_topic_conf_new()
    let index = unsafe topics.count
    // A topic's own configuration replaces the client's defaults for topics, `auto.offset.reset` among
    // them: without this line a position that retention has taken would silently become the log's end.
    _ = unsafe rd_kafka_topic_conf_set(configuration, "auto.offset.reset", "error", nil, 0)
    unsafe rd_kafka_topic_conf_set_opaque(
      configuration, UnsafeMutableRawPointer(bitPattern: index + 1))
    guard let pointer = unsafe rd_kafka_topic_new(handle.pointer, topic, configuration) else {
      throw handle.error(rd_kafka_last_error(), "open topic \(topic)")
    }
    unsafe topics.append(pointer)
    indexes[topic] = index
    return index
  }

  /// Connects, and learns where the partitions of `topics` are, ahead of reading.
  ///
  /// Throws: ``KafkaError`` - no broker answers.
  package func prepare(_ topics: some Sequence<String>) throws(KafkaError) {
    for topic in topics { _ = try index(of: topic) }
    try handle.connect()
  }

  /// Starts reading a partition. Problems with it arrive as messages of kind `failure`.
  package func start(
    _ partition: TopicPartition, at position: Position, queue: Queue = .first
  ) throws(KafkaError) {
    let offset: Int64 =
      switch position {
      case .offset(let offset): offset.rawValue
      case .beginning: Int64(RD_KAFKA_OFFSET_BEGINNING)
      case .end: Int64(RD_KAFKA_OFFSET_END)
      }
    let topic = unsafe topics[try index(of: partition.topic)]
    guard
      unsafe rd_kafka_consume_start_queue(
        topic, partition.partition, offset, queues[queue.rawValue]) == 0
    else { throw handle.error(rd_kafka_last_error(), "read \(partition)") }
    started.insert(partition)
  }

  /// Stops reading a partition; messages already queued from it may still arrive.
  package func stop(_ partition: TopicPartition) {
    guard started.remove(partition) != nil, let index = indexes[partition.topic] else { return }
    unsafe rd_kafka_consume_stop(topics[index], partition.partition)
  }

  /// Lets messages wake a thread that waits. `wakeUp` has to outlive this consumer or its closing.
  package func signal(_ wakeUp: WakeUp) {
    for index in unsafe queues.indices { unsafe wakeUp.attach(queues[index]) }
  }

  /// Takes up to `max` messages, waiting up to `timeoutMilliseconds` for the first, and hands each to
  /// `body` in the order of its partition.
  ///
  /// Returns: how many there were.
  @discardableResult
  package func consume(
    from queue: Queue = .first, max: Int = 1024, timeoutMilliseconds: Int32,
    _ body: (ConsumedMessage) -> ConsumedMessage.Disposition
  ) throws(KafkaError) -> Int {
    while try unsafe handle.serveEvent(timeoutMilliseconds: 0) {}
    let queue = queue.rawValue
    unsafe pokes[queue].poke(handle.pointer, waiting: rd_kafka_queue_length(queues[queue]))
    let count = unsafe rd_kafka_consume_batch_queue(
      queues[queue], timeoutMilliseconds, batch, min(max, Self.batchCapacity))
    guard count >= 0 else { throw handle.error(rd_kafka_last_error(), "read a batch") }
    for index in 0..<count {
      guard let pointer = unsafe batch[index] else { continue }
      let message = unsafe ConsumedMessage(consumed: pointer)
      if body(message) == .free { unsafe rd_kafka_message_destroy(pointer) }
    }
    return count
  }

  /// Asks the broker for a partition's log start offset; `nil` where it does not answer in 5 s.
  package func logStart(of partition: TopicPartition) -> Offset? {
    var low: Int64 = 0
    var high: Int64 = 0
    let code = unsafe rd_kafka_query_watermark_offsets(
      handle.pointer, partition.topic, partition.partition, &low, &high, 5000)
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? Offset(low) : nil
  }

  /// A failure message's error.
  package func error(of message: ConsumedMessage, reading partition: TopicPartition) -> KafkaError {
    let reason = unsafe rd_kafka_message_errstr(message.pointer).map { unsafe String(cString: $0) }
    return handle.error(
      unsafe message.pointer.pointee.err, "read \(partition) at offset \(message.offset)",
      reason: reason)
  }
}
