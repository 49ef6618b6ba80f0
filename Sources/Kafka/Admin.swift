internal import CRdKafka
internal import KafkaModel

/// Asks and changes what a cluster keeps besides records: topics, configs, offsets of logs, consumer
/// groups. Each call blocks the actor's own thread and is bounded by `timeout`.
package actor Admin {
  nonisolated let executor: PinnedExecutor
  package nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  private(set) var handle: ClientHandle
  let timeoutMilliseconds: Int32
  package nonisolated let cluster: String
  private let makeHandle: () throws(KafkaError) -> ClientHandle
  /// A request has had no answer in time, and librdkafka still holds it.
  private var isOverdue = false

  /// - Parameters:
  ///   - timeout: bounds each request; at least a second.
  ///   - readCommitted: whether the end of a log is its last stable offset or its high watermark.
  /// Throws: ``KafkaError`` - a property is wrong. Does not wait for the cluster.
  package init(
    _ connection: ClusterConnection, timeout: Duration = .seconds(15), readCommitted: Bool = true
  ) throws(KafkaError) {
    executor = PinnedExecutor(name: "admin-\(connection.name)")
    cluster = connection.name
    timeoutMilliseconds = Int32(max(1, timeout.components.seconds) * 1000)
    makeHandle = { () throws(KafkaError) in
      try ClientHandle(
        RD_KAFKA_CONSUMER, connection,
        properties: ["isolation.level": readCommitted ? "read_committed" : "read_uncommitted"])
    }
    handle = try makeHandle()
  }

  isolated deinit { handle.destroy() }

  /// The timeout that librdkafka is given, which is the longest that it takes (`rdkafka.h`): a request to a
  /// group's coordinator must not end there before its client does. librdkafka 2.0.2 goes on to look for the
  /// coordinator, frees the request when one is found, then answers it, and aborts the process
  /// (`eonce->refcnt > 0`; `rd_kafka_admin_coord_request` in `rdkafka_admin.c`, its issues 3663 and 4605).
  private static let never: Int32 = 3_600_000

  /// The answer to a request that was sent.
  ///
  /// Throws: ``KafkaError`` - none in time; then ``dropOverdue()`` is to be called, after the queue has
  ///   been destroyed.
  private func answer(
    from queue: OpaquePointer, _ operation: String
  ) throws(KafkaError) -> OpaquePointer {
    guard let event = unsafe rd_kafka_queue_poll(queue, timeoutMilliseconds) else {
      isOverdue = true
      throw handle.error(RD_KAFKA_RESP_ERR__TIMED_OUT, operation)
    }
    return unsafe event
  }

  /// Ends the client, and with it the requests that had no answer: the next one has a new client.
  private func dropOverdue() {
    guard isOverdue, let new = try? makeHandle() else { return }
    handle.destroy()
    handle = new
    isOverdue = false
  }

  /// Runs one Admin API request about `subject`: `send` gets it as a list of one, the options and the
  /// queue for the answer; `read` gets the answer.
  func request<Answer>(
    _ kind: rd_kafka_admin_op_t, _ operation: String, about subject: OpaquePointer?,
    send: (UnsafeMutablePointer<OpaquePointer?>, OpaquePointer, OpaquePointer) -> Void,
    read: (OpaquePointer) throws(KafkaError) -> Answer
  ) throws(KafkaError) -> Answer {
    try unsafe request(kind, operation, about: [subject], send: send, read: read)
  }

  /// The same about several subjects: `send` gets them all.
  func request<Answer>(
    _ kind: rd_kafka_admin_op_t, _ operation: String, about subjects: [OpaquePointer?],
    send: (UnsafeMutablePointer<OpaquePointer?>, OpaquePointer, OpaquePointer) -> Void,
    read: (OpaquePointer) throws(KafkaError) -> Answer
  ) throws(KafkaError) -> Answer {
    defer { dropOverdue() }
    let queue = unsafe rd_kafka_queue_new(handle.pointer)!
    defer { unsafe rd_kafka_queue_destroy(queue) }
    let options = unsafe rd_kafka_AdminOptions_new(handle.pointer, kind)!
    defer { unsafe rd_kafka_AdminOptions_destroy(options) }
    unsafe rd_kafka_AdminOptions_set_request_timeout(options, Self.never, nil, 0)
    var list = unsafe subjects
    unsafe send(&list, options, queue)
    let event = try unsafe answer(from: queue, operation)
    defer { unsafe rd_kafka_event_destroy(event) }
    _ = try unsafe handle.serveEvent(timeoutMilliseconds: 0)
    let code = unsafe rd_kafka_event_error(event)
    if code != RD_KAFKA_RESP_ERR_NO_ERROR {
      let reason = unsafe rd_kafka_event_error_string(event).map { unsafe String(cString: $0) }
      throw handle.error(code, operation, reason: reason)
    }
    return try unsafe read(event)
  }

  /// Runs one Admin API request about each of `subjects`, with many of them under way at once: `send` gets
  /// one as a list of one; `read` gets its number and its answer.
  ///
  /// Returns: answers in the order of `subjects`.
  func requests<Answer>(
    _ kind: rd_kafka_admin_op_t, about subjects: [OpaquePointer?], operation: (Int) -> String,
    send: (UnsafeMutablePointer<OpaquePointer?>, OpaquePointer, OpaquePointer) -> Void,
    read: (Int, OpaquePointer) throws(KafkaError) -> Answer
  ) throws(KafkaError) -> [Answer] {
    let total = unsafe subjects.count
    defer { dropOverdue() }
    let queue = unsafe rd_kafka_queue_new(handle.pointer)!
    defer { unsafe rd_kafka_queue_destroy(queue) }
    let options = unsafe rd_kafka_AdminOptions_new(handle.pointer, kind)!
    defer { unsafe rd_kafka_AdminOptions_destroy(options) }
    unsafe rd_kafka_AdminOptions_set_request_timeout(options, Self.never, nil, 0)
    var answers: [Answer?] = Array(repeating: nil, count: total)
    var failure: KafkaError?
    var sent = 0
    var done = 0
    // Answers that are under way are waited for also after a failure: nothing is left behind.
    while done < sent || (sent < total && failure == nil) {
      while sent < total, sent - done < Self.underWay, failure == nil {
        // Options are copied, the number with them (`rdkafka.h`).
        unsafe rd_kafka_AdminOptions_set_opaque(
          options, UnsafeMutableRawPointer(bitPattern: sent + 1))
        var list: [OpaquePointer?] = unsafe [subjects[sent]]
        unsafe send(&list, options, queue)
        sent += 1
      }
      let event = try unsafe answer(from: queue, operation(done))
      defer { unsafe rd_kafka_event_destroy(event) }
      done += 1
      let index = unsafe Int(bitPattern: rd_kafka_event_opaque(event)) - 1
      do throws(KafkaError) {
        let code = unsafe rd_kafka_event_error(event)
        if code != RD_KAFKA_RESP_ERR_NO_ERROR {
          let reason = unsafe rd_kafka_event_error_string(event).map { unsafe String(cString: $0) }
          throw handle.error(code, operation(index), reason: reason)
        }
        answers[index] = try unsafe read(index, event)
      } catch {
        failure = failure ?? error
      }
    }
    _ = try unsafe handle.serveEvent(timeoutMilliseconds: 0)
    if let failure { throw failure }
    return answers.compactMap(\.self)
  }

  /// How many requests of one kind are sent before an answer is waited for.
  private static let underWay = 64

  /// Throws the error that `error` stands for, if it stands for one.
  func check(_ error: OpaquePointer?, _ operation: String) throws(KafkaError) {
    guard let error = unsafe error else { return }
    let code = unsafe rd_kafka_error_code(error)
    guard code != RD_KAFKA_RESP_ERR_NO_ERROR else { return }
    throw handle.error(
      code, operation, reason: unsafe String(cString: rd_kafka_error_string(error)))
  }
}
