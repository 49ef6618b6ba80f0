internal import CRdKafka
internal import KafkaModel
internal import Logging

/// Owns one librdkafka instance and its main queue, from which its logs and errors are taken. Used by
/// one thread at a time: whoever owns it pins it.
@safe final class ClientHandle {
  let cluster: String
  let pointer: OpaquePointer
  /// Delivery reports, logs, errors and statistics arrive here.
  let mainQueue: OpaquePointer
  private let logger: Logger
  private let onStatistics: (@Sendable (String) -> Void)?
  private var destroyed = false
  /// The broker's words when it last refused the credentials.
  private var refusal: (reason: String, time: ContinuousClock.Instant)?

  /// Throws: ``KafkaError`` - a property that librdkafka does not know or a value that it refuses.
  init(
    _ type: rd_kafka_type_t, _ connection: ClusterConnection, properties: [String: String]
  ) throws(KafkaError) {
    cluster = connection.name
    logger = connection.logger
    onStatistics = connection.onStatistics
    // The caller's choices win over the plan's: they are what correctness rests on.
    var merged = connection.properties
    merged.merge(properties) { _, own in own }
    merged["log.queue"] = "true"
    merged["client.id"] = merged["client.id"] ?? "ferry"
    // Requests end in small segments, which Nagle's algorithm would hold back until the broker's kernel
    // acknowledges those before: up to 40 ms on an idle connection.
    merged["socket.nagle.disable"] = merged["socket.nagle.disable"] ?? "true"

    let conf = unsafe rd_kafka_conf_new()
    let size = 512
    let message = UnsafeMutablePointer<CChar>.allocate(capacity: size)
    defer { unsafe message.deallocate() }
    for (name, value) in merged.sorted(by: { $0.key < $1.key }) {
      let result = unsafe rd_kafka_conf_set(conf, name, value, message, size)
      guard result != RD_KAFKA_CONF_OK else { continue }
      unsafe rd_kafka_conf_destroy(conf)
      // librdkafka's message can quote the value, which may be a secret: name the property only.
      let reason =
        result == RD_KAFKA_CONF_UNKNOWN
        ? "librdkafka has no such property" : "librdkafka refuses this property's value"
      throw KafkaError(
        RD_KAFKA_RESP_ERR__INVALID_ARG, operation: "set client property `\(name)`",
        cluster: connection.name, reason: reason)
    }
    unsafe rd_kafka_conf_set_events(
      conf,
      Int32(
        RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG | RD_KAFKA_EVENT_STATS))
    guard let handle = unsafe rd_kafka_new(type, conf, message, size) else {
      unsafe rd_kafka_conf_destroy(conf)
      throw KafkaError(
        RD_KAFKA_RESP_ERR__INVALID_ARG, operation: "create client", cluster: connection.name,
        reason: unsafe String(cString: message))
    }
    unsafe pointer = handle
    unsafe mainQueue = rd_kafka_queue_get_main(handle)
    unsafe rd_kafka_set_log_queue(handle, nil)
  }

  /// Connects to a broker and asks where the partitions of all topics are that were opened, so that
  /// what follows need not wait for that.
  ///
  /// Throws: ``KafkaError`` - no broker answers in time.
  func connect(timeoutMilliseconds: Int32 = 15_000) throws(KafkaError) {
    var metadata: UnsafePointer<rd_kafka_metadata>?
    let code = unsafe rd_kafka_metadata(pointer, 0, nil, &metadata, timeoutMilliseconds)
    guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw plainError(code, "connect") }
    unsafe rd_kafka_metadata_destroy(metadata)
  }

  /// Closes the instance. Blocks until its threads have ended.
  func destroy() {
    guard !destroyed else { return }
    destroyed = true
    unsafe rd_kafka_queue_destroy(mainQueue)
    // Without the flag a consumer would try to leave a group it never joined.
    unsafe rd_kafka_destroy_flags(pointer, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)
  }

  deinit { destroy() }

  /// An error of an operation. Where the brokers refused the credentials, a call only says that it
  /// could not reach them, and the cause arrives as an event: it is put in its place here.
  func error(
    _ code: rd_kafka_resp_err_t, _ operation: String, reason: String? = nil
  ) -> KafkaError {
    let error = plainError(code, operation, reason: reason)
    guard error.isConnectivity else { return error }
    while (try? unsafe serveEvent(timeoutMilliseconds: 0)) == true {}
    guard let refusal, ContinuousClock.now - refusal.time < .seconds(60) else { return error }
    return KafkaError(
      RD_KAFKA_RESP_ERR__AUTHENTICATION, operation: operation, cluster: cluster,
      reason: refusal.reason)
  }

  /// As ``error(_:_:reason:)``, without a look at the events that wait: a producer's delivery reports
  /// are among them, and must not be taken in passing.
  func plainError(
    _ code: rd_kafka_resp_err_t, _ operation: String, reason: String? = nil
  ) -> KafkaError {
    KafkaError(code, operation: operation, cluster: cluster, reason: reason)
  }

  /// Takes one event from the main queue. Logs and errors are handed to the logger; delivery reports
  /// go to `onDeliveries`, a fatal error is thrown.
  ///
  /// Returns: whether there was an event.
  func serveEvent(
    timeoutMilliseconds: Int32, onDeliveries: (OpaquePointer) -> Void = { _ in }
  ) throws(KafkaError) -> Bool {
    guard let event = unsafe rd_kafka_queue_poll(mainQueue, timeoutMilliseconds) else {
      return false
    }
    defer { unsafe rd_kafka_event_destroy(event) }
    switch unsafe rd_kafka_event_type(event) {
    case RD_KAFKA_EVENT_DR:
      unsafe onDeliveries(event)
    case RD_KAFKA_EVENT_LOG:
      unsafe log(event)
    case RD_KAFKA_EVENT_ERROR:
      try unsafe handleError(event)
    case RD_KAFKA_EVENT_STATS:
      onStatistics?(unsafe String(cString: rd_kafka_event_stats(event)))
    default:
      break
    }
    return true
  }

  private func log(_ event: OpaquePointer) {
    var facility: UnsafePointer<CChar>?
    var text: UnsafePointer<CChar>?
    var level: Int32 = 0
    guard unsafe rd_kafka_event_log(event, &facility, &text, &level) == 0, let text = unsafe text
    else { return }
    let line = unsafe String(cString: text)
    // Syslog levels (`rdkafka.h`): 0-3 errors, 4 warnings, which are mostly remarks on properties. A
    // lost connection is an error to librdkafka but heals by itself.
    logger.log(level: level <= 3 ? .notice : .debug, "librdkafka: \(line)")
  }

  private func handleError(_ event: OpaquePointer) throws(KafkaError) {
    let code = unsafe rd_kafka_event_error(event)
    let reason = unsafe String(cString: rd_kafka_event_error_string(event))
    if unsafe rd_kafka_event_error_is_fatal(event) != 0 {
      throw KafkaError(
        code, operation: "keep the client running", cluster: cluster, reason: reason,
        isFatal: true)
    }
    if code == RD_KAFKA_RESP_ERR__AUTHENTICATION { refusal = (reason, .now) }
    logger.notice("librdkafka: \(reason)")
  }
}
