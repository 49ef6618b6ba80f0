internal import CRdKafka
internal import CXXHash
package import KafkaModel

/// Computes ``RecordDigest``: XXH3-128 with seed 0 over a record's canonical encoding. All integers are
/// little-endian:
///
/// | bytes | meaning |
/// | --- | --- |
/// | 8 | timestamp, ms since 1970 |
/// | 4 | key length, -1 for null |
/// | n | key |
/// | 4 | value length, -1 for null |
/// | n | value |
/// | 4 | number of headers |
/// | per header: 4 + n | name length, name |
/// | per header: 4 + n | value length (-1 for null), value |
///
/// Lengths before bytes make the encoding injective: two records with equal encodings are equal.
@safe package final class RecordHasher {
  private var buffer: UnsafeMutableRawPointer
  private var capacity: Int
  private var used = 0

  package init() {
    capacity = 1 << 14
    unsafe buffer = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
  }

  deinit { unsafe buffer.deallocate() }

  /// The digest of a consumed record.
  package func digest(_ message: ConsumedMessage) -> RecordDigest {
    used = 0
    let pointer = unsafe message.pointer
    reserve(Self.integers + (unsafe pointer.pointee.key_len + pointer.pointee.len))
    appendInteger(unsafe rd_kafka_message_timestamp(pointer, nil))
    unsafe appendField(pointer.pointee.key, pointer.pointee.key_len)
    unsafe appendField(pointer.pointee.payload, pointer.pointee.len)
    guard let headers = unsafe message.headers else {
      appendInteger(Int32(0))
      return finish()
    }
    let count = unsafe rd_kafka_header_cnt(headers)
    appendInteger(Int32(count))
    for index in 0..<count {
      var name: UnsafePointer<CChar>?
      var value: UnsafeRawPointer?
      var size = 0
      _ = unsafe rd_kafka_header_get_all(headers, index, &name, &value, &size)
      let length = unsafe name.map { unsafe strlen($0) } ?? 0
      reserve(Self.integers + length + size)
      unsafe appendField(name.map { unsafe UnsafeRawPointer($0) }, length)
      unsafe appendField(value, size)
    }
    return finish()
  }

  /// The digest of a copied record: equal to that of the message it was copied from.
  package func digest(_ record: Record) -> RecordDigest {
    used = 0
    reserve(Self.integers + (record.key?.count ?? 0) + (record.value?.count ?? 0))
    appendInteger(record.timestamp)
    appendBytes(record.key)
    appendBytes(record.value)
    appendInteger(Int32(record.headers.count))
    for header in record.headers {
      reserve(Self.integers + header.name.utf8.count + (header.value?.count ?? 0))
      appendBytes(Array(header.name.utf8))
      appendBytes(header.value)
    }
    return finish()
  }

  /// The next link of a chain of digests: XXH3-128 over the chain so far and the next digest, each as
  /// low and high word. Equal chains mean equal records in equal order.
  package func chain(_ chain: RecordDigest, _ next: RecordDigest) -> RecordDigest {
    used = 0
    reserve(MemoryLayout<RecordDigest>.size * 2)
    for digest in [chain, next] {
      appendInteger(digest.low)
      appendInteger(digest.high)
    }
    return finish()
  }

  /// Digests of a record's fields, to tell which of them differ.
  package struct Parts: Hashable, Sendable {
    package let key: RecordDigest
    package let value: RecordDigest
    package let headers: RecordDigest
    package let timestamp: Int64
  }

  /// The record's digest and, from the same encoding, those of its fields.
  package func digestAndParts(
    _ message: ConsumedMessage
  ) -> (digest: RecordDigest, parts: Parts) {
    let whole = digest(message)
    let timestamp = MemoryLayout<Int64>.size
    let keyEnd = fieldEnd(from: timestamp)
    let valueEnd = fieldEnd(from: keyEnd)
    return (
      whole,
      Parts(
        key: hash(timestamp..<keyEnd), value: hash(keyEnd..<valueEnd),
        headers: hash(valueEnd..<used), timestamp: unsafe buffer.loadUnaligned(as: Int64.self))
    )
  }

  private func fieldEnd(from start: Int) -> Int {
    let length = unsafe Int(
      Int32(littleEndian: buffer.loadUnaligned(fromByteOffset: start, as: Int32.self)))
    return start + MemoryLayout<Int32>.size + max(0, length)
  }

  private func hash(_ range: Range<Int>) -> RecordDigest {
    let hash = unsafe ferry_xxh3_128(buffer.advanced(by: range.lowerBound), range.count)
    return RecordDigest(low: hash.low, high: hash.high)
  }

  private func appendBytes(_ bytes: [UInt8]?) {
    guard let bytes else { return appendInteger(Int32(-1)) }
    unsafe bytes.withUnsafeBytes {
      unsafe appendField($0.baseAddress ?? UnsafeRawPointer(buffer), $0.count)
    }
  }

  private func appendField(_ start: UnsafeRawPointer?, _ count: Int) {
    guard let start = unsafe start else { return appendInteger(Int32(-1)) }
    appendInteger(Int32(count))
    assert(used + count <= capacity)
    unsafe buffer.advanced(by: used).copyMemory(from: start, byteCount: count)
    used += count
  }

  private func appendInteger<Value: FixedWidthInteger>(_ value: Value) {
    assert(used + MemoryLayout<Value>.size <= capacity)
    unsafe buffer.storeBytes(of: value.littleEndian, toByteOffset: used, as: Value.self)
    used += MemoryLayout<Value>.size
  }

  /// The integers of a record, or of a header, take no more bytes than this.
  private static let integers = 20

  /// Makes room for `count` bytes, once for several fields: whoever appends has asked for it.
  private func reserve(_ count: Int) {
    if used + count > capacity { grow(to: used + count) }
  }

  private func grow(to wanted: Int) {
    capacity = max(capacity * 2, wanted)
    let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
    unsafe larger.copyMemory(from: buffer, byteCount: used)
    unsafe buffer.deallocate()
    unsafe buffer = larger
  }

  private func finish() -> RecordDigest { hash(0..<used) }
}
