internal import Dispatch
internal import Kafka
internal import KafkaModel

/// Writes the records that a benchmark copies.
actor BenchWriter {
  nonisolated let executor = PinnedExecutor(name: "bench-write")
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  private let producer: Producer
  private let topic: Int
  private let partitions: Int32
  /// Bytes of which values are cut: half noise, half text, so that codecs have something to do.
  private let pool: [UInt8]
  private let size: Int
  private let hasKeys: Bool

  /// - Parameter hasKeys: each record gets a key of its own, which does not say where it goes.
  init(
    _ connection: ClusterConnection, topic: String, partitions: Int32, size: Int, codec: String,
    hasKeys: Bool
  ) throws(KafkaError) {
    self.hasKeys = hasKeys
    producer = try Producer(
      connection, properties: ["compression.codec": codec, "linger.ms": "1"])
    self.topic = try producer.index(of: topic)
    self.partitions = partitions
    self.size = size
    var random = SystemRandomNumberGenerator()
    var pool: [UInt8] = []
    while pool.count < size + (1 << 16) {
      for _ in 0..<32 { pool.append(.random(in: .min ... .max, using: &random)) }
      pool += Array("abcdefghijklmnopqrstuvwxyz012345".utf8)
    }
    self.pool = pool
  }

  isolated deinit { producer.close(discarding: true) }

  /// Writes `records` as fast as they are taken, to the partitions in turn.
  func fill(_ records: Int64, onProgress: (Int64) -> Void) throws {
    var failure: KafkaError?
    var stored: Int64 = 0
    var written: Int64 = 0
    while stored < records {
      while written < records, written - stored < 50_000 {
        try write(written, value: value(written))
        written += 1
      }
      try producer.serve(timeoutMilliseconds: 10) { delivery in
        stored += 1
        if let error = producer.error(of: delivery) { failure = error }
      }
      if let failure { throw failure }
      try Task.checkCancellation()
      onProgress(stored)
    }
  }

  /// Writes at a fixed rate; values begin with the time of writing, as ``LatencyProbe`` reads it.
  ///
  /// Returns: how many records were written.
  func tail(recordsPerSecond: Int, seconds: Int) throws -> Int {
    let start = DispatchTime.now().uptimeNanoseconds
    let total = recordsPerSecond * seconds
    var written = 0
    var failure: KafkaError?
    while written < total || producer.outstanding > 0 {
      let elapsed = Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
      let due = min(total, Int(elapsed * Double(recordsPerSecond)))
      while written < due {
        var value = value(Int64(written))
        let stamp = DispatchTime.now().uptimeNanoseconds
        for byte in 0..<8 { value[byte] = UInt8(truncatingIfNeeded: stamp >> (8 * UInt64(byte))) }
        try write(Int64(written), value: value)
        written += 1
      }
      try producer.serve(timeoutMilliseconds: 1) {
        if let error = producer.error(of: $0) { failure = error }
      }
      if let failure { throw failure }
      try Task.checkCancellation()
    }
    return total
  }

  private func value(_ number: Int64) -> [UInt8] {
    let start = Int(truncatingIfNeeded: number &* 7919) & 0xFFFF
    return Array(pool[start..<(start + max(8, size))])
  }

  private func write(_ number: Int64, value: [UInt8]) throws(KafkaError) {
    try producer.produce(
      Record(
        key: hasKeys ? Array("\(number)".utf8) : nil, value: value,
        timestamp: Self.epoch + number), to: topic,
      partition: Int32(number % Int64(partitions)), token: 1)
  }

  private static let epoch: Int64 = 1_700_000_000_000
}
