internal import CRdKafka
package import KafkaModel

/// Writes records, idempotently and without gaps: a record is retried until it is stored, however long
/// the cluster is away, and one that can never be stored ends the producer instead of being passed over
/// (`enable.gapless.guarantee`, librdkafka CONFIGURATION.md).
///
/// Not thread-safe and its methods block: it belongs to one actor pinned by a ``PinnedExecutor``.
@safe package final class Producer {
  private let handle: ClientHandle
  private var topics: [OpaquePointer] = unsafe []
  private var indexes: [String: Int] = [:]

  /// What became of one record.
  package struct Delivery {
    /// The consumed message that was forwarded; `nil` for ``produce(_:to:partition:token:)``.
    package let message: ConsumedMessage?
    /// The token given to ``produce(_:to:partition:token:)``.
    package let token: Int
    /// Where the record was sent to.
    package let partition: Int32
    /// Where the record stands now. Negative where the broker did not say.
    package let offset: Offset
    let code: rd_kafka_resp_err_t

    /// The record is stored; if not, ``Producer/error(of:)`` says why.
    package var isStored: Bool { code == RD_KAFKA_RESP_ERR_NO_ERROR }
  }

  /// Throws: ``KafkaError`` - a property is wrong. Does not wait for the cluster.
  package init(
    _ connection: ClusterConnection, properties: [String: String] = [:]
  ) throws(KafkaError) {
    var own = [
      "enable.idempotence": "true",
      "enable.gapless.guarantee": "true",
      "acks": "all",
      "message.timeout.ms": "0",
      "queue.buffering.max.messages": "200000",
      "queue.buffering.max.kbytes": "2097151",
      "linger.ms": "1",
    ]
    own.merge(properties) { _, given in given }
    handle = try ClientHandle(RD_KAFKA_PRODUCER, connection, properties: own)
  }

  deinit { close(discarding: true) }

  private var closed = false

  /// Ends the client. With `discarding`, records not yet stored are given up, and their messages freed.
  package func close(discarding: Bool) {
    guard !closed else { return }
    closed = true
    if discarding { discard() }
    // Reports carry the forwarded messages: they are served until none is left, or they would leak.
    for _ in 0..<50 where unsafe rd_kafka_outq_len(handle.pointer) > 0 {
      _ = try? serve(timeoutMilliseconds: 100) { _ in }
    }
    for index in unsafe topics.indices { unsafe rd_kafka_topic_destroy(topics[index]) }
    unsafe WakeUp.detach(handle.mainQueue)
    handle.destroy()
  }

  /// Gives up all records that are not stored yet, whatever becomes of those under way; each is still
  /// reported on.
  package func discard() {
    unsafe rd_kafka_purge(
      handle.pointer, Int32(RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT))
  }

  /// The number of records given and not yet reported on.
  package var outstanding: Int { Int(unsafe rd_kafka_outq_len(handle.pointer)) }

  /// The index by which ``forward(_:to:partition:)`` names a topic.
  package func index(of topic: String) throws(KafkaError) -> Int {
    if let known = indexes[topic] { return known }
    guard let pointer = unsafe rd_kafka_topic_new(handle.pointer, topic, nil) else {
      throw handle.plainError(rd_kafka_last_error(), "open topic \(topic)")
    }
    unsafe topics.append(pointer)
    indexes[topic] = unsafe topics.count - 1
    return unsafe topics.count - 1
  }

  /// Connects, and learns where the partitions of `topics` are, ahead of writing. An idempotent
  /// producer then also gets its id, which alone may take half a second (librdkafka asks again at
  /// such intervals as long as it knows no broker).
  ///
  /// Throws: ``KafkaError`` - no broker answers.
  package func prepare(_ topics: some Sequence<String>) throws(KafkaError) {
    for topic in topics { _ = try index(of: topic) }
    try handle.connect()
  }

  /// Passes a consumed record on, as it is, without copying key or value. When it is queued, the
  /// message belongs to the producer until its delivery is served.
  ///
  /// The caller keeps fewer records outstanding than `queue.buffering.max.messages`, so that a full
  /// queue is an error like any other.
  package func forward(
    _ message: ConsumedMessage, to topicIndex: Int, partition: Int32
  ) throws(KafkaError) {
    var headers: OpaquePointer?
    if unsafe message.headers != nil {
      _ = unsafe rd_kafka_message_detach_headers(message.pointer, &headers)
    }
    let result = unsafe ferry_forward(
      handle.pointer, topics[topicIndex], partition, message.pointer, &headers)
    if result != RD_KAFKA_RESP_ERR_NO_ERROR {
      if let headers = unsafe headers { unsafe rd_kafka_headers_destroy(headers) }
      throw handle.plainError(result, "queue the record from offset \(message.offset)")
    }
  }

  /// Queues a record of the caller's own. `token` comes back with its delivery; it must be positive.
  package func produce(
    _ record: Record, to topicIndex: Int, partition: Int32, token: Int
  ) throws(KafkaError) {
    var headers: OpaquePointer?
    if !record.headers.isEmpty {
      unsafe headers = rd_kafka_headers_new(record.headers.count)
      for header in record.headers {
        _ = unsafe Self.withBytes(header.value) { value, count in
          unsafe rd_kafka_header_add(headers, header.name, -1, value, count)
        }
      }
    }
    // Odd opaques are tokens: a message's address never is.
    let opaque = unsafe UnsafeMutableRawPointer(bitPattern: token << 1 | 1)
    let result = unsafe Self.withBytes(record.key) { key, keyCount in
      unsafe Self.withBytes(record.value) { value, valueCount in
        unsafe ferry_produce(
          handle.pointer, topics[topicIndex], partition, key, keyCount, value, valueCount,
          record.timestamp, headers, opaque)
      }
    }
    if result != RD_KAFKA_RESP_ERR_NO_ERROR {
      if let headers = unsafe headers { unsafe rd_kafka_headers_destroy(headers) }
      throw handle.plainError(result, "queue a record")
    }
  }

  /// Null stays a null pointer; empty becomes a valid pointer with a count of 0.
  private static func withBytes<Result>(
    _ bytes: [UInt8]?, _ body: (UnsafeRawPointer?, Int) -> Result
  ) -> Result {
    guard let bytes else { return body(nil, 0) }
    if bytes.isEmpty {
      var nothing: UInt8 = 0
      return unsafe withUnsafeBytes(of: &nothing) { unsafe body($0.baseAddress, 0) }
    }
    return unsafe bytes.withUnsafeBytes { unsafe body($0.baseAddress, $0.count) }
  }

  /// Serves reports, logs and errors that wait, waiting up to `timeoutMilliseconds` for the first.
  /// Messages of forwarded records are freed when `onDelivery` returns.
  ///
  /// Returns: how many events there were.
  /// Throws: ``KafkaError`` - the producer met a fatal error and cannot go on.
  @discardableResult
  package func serve(
    timeoutMilliseconds: Int32, _ onDelivery: (Delivery) -> Void
  ) throws(KafkaError) -> Int {
    var events = 0
    while try unsafe handle.serveEvent(
      timeoutMilliseconds: events == 0 ? timeoutMilliseconds : 0,
      onDeliveries: { event in unsafe deliver(event, to: onDelivery) })
    {
      events += 1
    }
    return events
  }

  private func deliver(_ event: OpaquePointer, to onDelivery: (Delivery) -> Void) {
    while let report = unsafe rd_kafka_event_message_next(event) {
      let code = unsafe report.pointee.err
      let offset = Offset(unsafe report.pointee.offset)
      let partition = unsafe report.pointee.partition
      guard let opaque = unsafe report.pointee._private else { continue }
      let bits = Int(bitPattern: opaque)
      if bits & 1 == 1 {
        onDelivery(
          Delivery(
            message: nil, token: bits >> 1, partition: partition, offset: offset, code: code))
      } else {
        let pointer = unsafe opaque.assumingMemoryBound(to: rd_kafka_message_t.self)
        let message = unsafe ConsumedMessage(forwarded: pointer)
        onDelivery(
          Delivery(
            message: message, token: 0, partition: partition, offset: offset, code: code))
        unsafe rd_kafka_message_destroy(pointer)
      }
    }
  }

  /// Why a record was not stored; `nil` if it was.
  package func error(of delivery: Delivery) -> KafkaError? {
    delivery.isStored ? nil : handle.plainError(delivery.code, "store a record")
  }

  /// Lets reports wake a thread that waits. `wakeUp` has to outlive this producer or its closing.
  package func signal(_ wakeUp: WakeUp) { unsafe wakeUp.attach(handle.mainQueue) }

  /// Waits until nothing is outstanding, or `timeoutMilliseconds` have gone by.
  ///
  /// Returns: whether nothing is outstanding.
  package func flush(
    timeoutMilliseconds: Int, _ onDelivery: (Delivery) -> Void
  ) throws(KafkaError) -> Bool {
    let deadline = ContinuousClock.now + .milliseconds(timeoutMilliseconds)
    while outstanding > 0, ContinuousClock.now < deadline {
      try serve(timeoutMilliseconds: 20, onDelivery)
    }
    return outstanding == 0
  }
}
