internal import Dispatch
internal import Kafka
internal import KafkaModel
internal import Synchronization

/// Reads what ``BenchWriter/tail(recordsPerSecond:seconds:)`` wrote and says how old it is.
actor LatencyProbe {
  nonisolated let executor = PinnedExecutor(name: "bench-probe")
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  /// Reads `count` records from the given positions.
  ///
  /// Returns: ages in nanoseconds, fewer than `count` where none came for 10 s.
  func ages(
    _ positions: [TopicPartition: Offset], on connection: ClusterConnection, count: Int
  ) throws -> [Int64] {
    let consumer = try Consumer(connection)
    defer { consumer.close() }
    for (partition, offset) in positions { try consumer.start(partition, at: .offset(offset)) }
    var ages: [Int64] = []
    var lastHeard = ContinuousClock.now
    while ages.count < count, ContinuousClock.now - lastHeard < .seconds(10) {
      try Task.checkCancellation()
      try consumer.consume(timeoutMilliseconds: 5) { message in
        guard case .record = message.kind, let value = message.copy().value, value.count >= 8 else {
          return .free
        }
        var stamp: UInt64 = 0
        for byte in 0..<8 { stamp |= UInt64(value[byte]) << (8 * UInt64(byte)) }
        ages.append(Int64(DispatchTime.now().uptimeNanoseconds) - Int64(stamp))
        lastHeard = .now
        return .free
      }
    }
    return ages
  }
}
