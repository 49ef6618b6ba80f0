internal import Kafka

/// How long a mirror that ended with an error waits before it starts over, and when it gives up.
struct StartOver {
  private static let shortest = Duration.milliseconds(200)
  private static let longest = Duration.seconds(5)
  private static let soundRun = Duration.seconds(30)
  private static let patienceWithUnknown = Duration.seconds(60)

  private var next = shortest
  private var unknownSince: ContinuousClock.Instant?

  /// The pause after an error that ended a run.
  ///
  /// - Parameter start: when that run began.
  /// Throws: the error - a topic has been unknown for a minute: it is gone.
  mutating func pause(
    after error: KafkaError, of start: ContinuousClock.Instant
  ) throws(KafkaError) -> Duration {
    let now = ContinuousClock.now
    if now - start > Self.soundRun {
      // It had been at work: this is another trouble.
      next = Self.shortest
      unknownSince = nil
    }
    // A broker that starts may not know its topics yet.
    unknownSince = error.isUnknownTopic ? unknownSince ?? now : nil
    if let unknownSince, now - unknownSince > Self.patienceWithUnknown { throw error }
    defer { next = min(next * 2, Self.longest) }
    return next
  }
}
