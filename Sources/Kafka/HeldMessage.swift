internal import CRdKafka

/// A consumed message that is kept for a while before it is passed on. Freed with this, unless a producer has
/// taken it. All have to be gone before their consumer is closed.
@safe package final class HeldMessage {
  package let message: ConsumedMessage
  private var isOwned = true

  /// The closure that was handed `message` has to answer ``ConsumedMessage/Disposition/keep``.
  package init(_ message: ConsumedMessage) { self.message = message }

  deinit {
    if isOwned { unsafe rd_kafka_message_destroy(message.pointer) }
  }

  /// Hands the message on as a consumer does, with the same rules for `body`; at most once.
  package func pass(to body: (ConsumedMessage) -> ConsumedMessage.Disposition) {
    guard isOwned else { return }
    isOwned = false
    if body(message) == .free { unsafe rd_kafka_message_destroy(message.pointer) }
  }

  /// As ``Producer/forward(_:to:partition:)``.
  package func forward(
    with producer: Producer, to topicIndex: Int, partition: Int32
  ) throws(KafkaError) {
    try producer.forward(message, to: topicIndex, partition: partition)
    isOwned = false
  }
}
