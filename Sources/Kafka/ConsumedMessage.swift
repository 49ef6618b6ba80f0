internal import CRdKafka
package import KafkaModel

/// One message from a ``Consumer``'s queue: a record, or news of a partition. Borrowed: valid inside the
/// closure that it is handed to, and beyond it only if that closure answers ``Disposition/keep``.
@safe package struct ConsumedMessage {
  let pointer: UnsafeMutablePointer<rd_kafka_message_t>
  /// `nil` where it has none. They are a producer's as soon as that has taken the message. Asked for once:
  /// where there are none, librdkafka finds that out anew each time, in a buffer that it makes for it
  /// (`rd_kafka_msg_headers_parse`).
  let headers: OpaquePointer?

  /// As a consumer hands it out.
  init(consumed pointer: UnsafeMutablePointer<rd_kafka_message_t>) {
    unsafe self.pointer = pointer
    var list: OpaquePointer?
    if unsafe pointer.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR {
      _ = unsafe rd_kafka_message_headers(pointer, &list)
    }
    unsafe headers = list
  }

  /// As a producer gives it back: its headers went with the record.
  init(forwarded pointer: UnsafeMutablePointer<rd_kafka_message_t>) {
    unsafe self.pointer = pointer
    unsafe headers = nil
  }

  /// Who frees the message after the closure returns.
  package enum Disposition {
    /// The consumer, at once.
    case free
    /// A producer took it as its delivery's opaque; its report frees it.
    case keep
  }

  package enum Kind {
    case record
    /// No readable record lies between the last one and ``offset``, which is the end of what can be
    /// read now (for `read_committed` the last stable offset).
    case endOfPartition
    case failure(rawCode: Int32)
  }

  package var kind: Kind {
    switch unsafe pointer.pointee.err {
    case RD_KAFKA_RESP_ERR_NO_ERROR: .record
    case RD_KAFKA_RESP_ERR__PARTITION_EOF: .endOfPartition
    case let error: .failure(rawCode: error.rawValue)
    }
  }

  /// Index of the topic in the order in which the consumer first heard of it.
  package var topicIndex: Int {
    guard let topic = unsafe pointer.pointee.rkt else { return -1 }
    return Int(bitPattern: unsafe rd_kafka_topic_opaque(topic)) - 1
  }

  package var partition: Int32 { unsafe pointer.pointee.partition }
  package var offset: Offset { Offset(unsafe pointer.pointee.offset) }

  /// In ms since 1970; -1 where the record has none.
  package var timestamp: Int64 {
    var type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
    return unsafe rd_kafka_message_timestamp(pointer, &type)
  }

  /// Key and value in bytes, as throttles and memory bounds count them.
  package var byteCount: Int {
    unsafe pointer.pointee.len + pointer.pointee.key_len
  }

  package var key: [UInt8]? {
    unsafe Self.bytes(pointer.pointee.key, pointer.pointee.key_len)
  }

  /// Where its key puts it among `count` partitions: see ``Murmur2/partition(of:from:count:)``. Nothing is
  /// copied.
  package func murmur2Partition(count: Int32) -> Int32 {
    guard let start = unsafe pointer.pointee.key else { return partition % count }
    let key = unsafe UnsafeBufferPointer(
      start: UnsafePointer(start.assumingMemoryBound(to: UInt8.self)),
      count: pointer.pointee.key_len)
    return Murmur2.partition(of: unsafe Span(_unsafeElements: key), count: count)
  }

  package var isTombstone: Bool { unsafe pointer.pointee.payload == nil }

  /// A copy of everything in the record.
  package func copy() -> Record {
    let message = unsafe pointer.pointee
    var type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
    let timestamp = unsafe rd_kafka_message_timestamp(pointer, &type)
    return Record(
      key: unsafe Self.bytes(message.key, message.key_len),
      value: unsafe Self.bytes(message.payload, message.len),
      headers: copyHeaders(),
      timestamp: timestamp,
      timestampType: type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME ? .logAppendTime : .createTime)
  }

  private static func bytes(_ start: UnsafeMutableRawPointer?, _ count: Int) -> [UInt8]? {
    guard let start = unsafe start else { return nil }
    return unsafe [UInt8](UnsafeRawBufferPointer(start: start, count: count))
  }

  private func copyHeaders() -> [RecordHeader] {
    guard let headers = unsafe headers else { return [] }
    var copies: [RecordHeader] = []
    for index in 0..<(unsafe rd_kafka_header_cnt(headers)) {
      var name: UnsafePointer<CChar>?
      var value: UnsafeRawPointer?
      var size = 0
      guard
        unsafe rd_kafka_header_get_all(headers, index, &name, &value, &size)
          == RD_KAFKA_RESP_ERR_NO_ERROR, let name = unsafe name
      else { break }
      copies.append(
        RecordHeader(
          unsafe String(cString: name),
          unsafe value.map { unsafe [UInt8](UnsafeRawBufferPointer(start: $0, count: size)) }))
    }
    return copies
  }
}
