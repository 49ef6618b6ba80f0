internal import CRdKafka

/// Lets a consumer fetch on as soon as its queue has room again.
///
/// A broker thread of librdkafka before 2.2 that finds the queue full (`queued.min.messages`,
/// `queued.max.messages.kbytes`) sleeps until its socket or its own queue wakes it, up to a second, and
/// nobody tells it that messages were taken: a reader that is faster than the broker stands still most
/// of the time (measured on one machine: 0.2 instead of 0.75 million records a second). Setting the credentials anew is the one
/// public call that wakes these threads (`rd_kafka_sasl_set_credentials`); without SASL it has no other
/// effect.
struct FetchPoke {
  private let username: String
  private let password: String
  /// The most messages that waited since the last poke.
  private var peak = 0
  private var last = ContinuousClock.now

  init(_ connection: ClusterConnection) {
    // Empty credentials would be refused.
    username = connection.properties["sasl.username"] ?? "none"
    password = connection.properties["sasl.password"] ?? "none"
  }

  /// Wakes the threads if half of what waited has been taken.
  mutating func poke(_ client: OpaquePointer, waiting: Int) {
    guard waiting < peak / 2 else {
      peak = max(peak, waiting)
      return
    }
    let now = ContinuousClock.now
    guard now - last > .milliseconds(2) else { return }
    last = now
    peak = waiting
    if let error = unsafe rd_kafka_sasl_set_credentials(client, username, password) {
      unsafe rd_kafka_error_destroy(error)
    }
  }
}
