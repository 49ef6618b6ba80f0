/// Where Java's producer puts a record by its key.
package enum Murmur2 {
  /// 32-bit MurmurHash2 with Kafka's seed (`Utils.murmur2`, clients of Apache Kafka 3.9; the same as
  /// `rd_murmur2` of librdkafka).
  package static func hash(_ bytes: [UInt8]) -> Int32 { hash(bytes.span) }

  package static func hash(_ bytes: borrowing Span<UInt8>) -> Int32 {
    let factor: UInt32 = 0x5bd1_e995
    var hash = 0x9747_b28c ^ UInt32(truncatingIfNeeded: bytes.count)
    let whole = bytes.count & ~3
    for start in stride(from: 0, to: whole, by: 4) {
      var word =
        UInt32(bytes[start]) | UInt32(bytes[start + 1]) << 8 | UInt32(bytes[start + 2]) << 16
        | UInt32(bytes[start + 3]) << 24
      word &*= factor
      word ^= word >> 24
      word &*= factor
      hash &*= factor
      hash ^= word
    }
    if whole < bytes.count {
      for place in whole..<bytes.count { hash ^= UInt32(bytes[place]) << (8 * (place - whole)) }
      hash &*= factor
    }
    hash ^= hash >> 13
    hash &*= factor
    hash ^= hash >> 15
    return Int32(bitPattern: hash)
  }

  /// The partition, of `count`, of a record with `key` (`BuiltInPartitioner.partitionForKey`, clients of
  /// Apache Kafka 3.9). Java's producer spreads records without a key as it likes; they keep their
  /// partition's number here, counted modulo `count`.
  ///
  /// - Parameter origin: the partition that the record stands in.
  package static func partition(of key: [UInt8]?, from origin: Int32, count: Int32) -> Int32 {
    guard let key else { return origin % count }
    return partition(of: key.span, count: count)
  }

  /// As ``partition(of:from:count:)``, of a record that has a key.
  package static func partition(of key: borrowing Span<UInt8>, count: Int32) -> Int32 {
    (hash(key) & 0x7fff_ffff) % count
  }
}
