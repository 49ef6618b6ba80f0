internal import CRdKafka
package import KafkaModel

extension Admin {
  /// Which offset of a log is asked for.
  package enum OffsetQuery: Hashable, Sendable {
    /// The log start offset.
    case start
    /// The last stable offset, which is what `read_committed` readers can reach.
    case end
    /// The first offset whose timestamp, in ms since 1970, is at or after this one. Approximate by
    /// nature: timestamps need not ascend.
    case timestamp(Int64)

    /// `ListOffsets` request, field Timestamp: -2 earliest, -1 latest.
    fileprivate var wireValue: Int64 {
      switch self {
      case .start: -2
      case .end: -1
      case .timestamp(let milliseconds): milliseconds
      }
    }
  }

  /// Asks for one offset of each partition, in one request a broker.
  ///
  /// Returns: offsets; a partition is absent where no record is as young as the timestamp.
  /// Throws: ``KafkaError`` - unreachable, or a partition does not exist.
  package func offsets(
    _ query: OffsetQuery, of partitions: [TopicPartition]
  ) throws(KafkaError) -> [TopicPartition: Offset] {
    do {
      return try offsetsOfKnown(query, of: partitions)
    } catch {
      // The partition may be younger than what this client last heard of the cluster.
      guard error.isUnknownTopic else { throw error }
      _ = try topics()
      return try offsetsOfKnown(query, of: partitions)
    }
  }

  private func offsetsOfKnown(
    _ query: OffsetQuery, of partitions: [TopicPartition]
  ) throws(KafkaError) -> [TopicPartition: Offset] {
    guard !partitions.isEmpty else { return [:] }
    let list = unsafe PartitionList.make(partitions, offset: query.wireValue)
    defer { unsafe rd_kafka_topic_partition_list_destroy(list) }
    let operation = "ask for offsets of \(partitions.count) partitions"
    let code = unsafe rd_kafka_offsets_for_times(handle.pointer, list, timeoutMilliseconds)
    _ = try unsafe handle.serveEvent(timeoutMilliseconds: 0)
    guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw handle.error(code, operation) }
    var found: [TopicPartition: Offset] = [:]
    for element in unsafe PartitionList.elements(list) {
      guard element.code == RD_KAFKA_RESP_ERR_NO_ERROR else {
        throw handle.error(element.code, "ask for an offset of \(element.partition)")
      }
      if element.offset >= 0 { found[element.partition] = Offset(element.offset) }
    }
    return found
  }

  /// Log start and last stable offset of each partition.
  package func bounds(
    of partitions: [TopicPartition]
  ) throws(KafkaError) -> [TopicPartition: LogBounds] {
    let starts = try offsets(.start, of: partitions)
    let ends = try offsets(.end, of: partitions)
    var bounds: [TopicPartition: LogBounds] = [:]
    for partition in partitions {
      guard let start = starts[partition], let end = ends[partition] else {
        throw handle.error(
          RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, "ask for the bounds of \(partition)")
      }
      bounds[partition] = LogBounds(start: start, end: end)
    }
    return bounds
  }

  /// Deletes the records before each offset. For sandboxes: a migration deletes nothing.
  package func deleteRecords(before offsets: [TopicPartition: Offset]) throws(KafkaError) {
    let operation = "delete records"
    let list = unsafe rd_kafka_topic_partition_list_new(Int32(offsets.count))!
    defer { unsafe rd_kafka_topic_partition_list_destroy(list) }
    for (partition, offset) in offsets {
      unsafe rd_kafka_topic_partition_list_add(list, partition.topic, partition.partition)
        .pointee.offset = offset.rawValue
    }
    let deletion = unsafe rd_kafka_DeleteRecords_new(list)!
    defer { unsafe rd_kafka_DeleteRecords_destroy(deletion) }
    try unsafe request(RD_KAFKA_ADMIN_OP_DELETERECORDS, operation, about: deletion) {
      list, options, queue in
      unsafe rd_kafka_DeleteRecords(handle.pointer, list, 1, options, queue)
    } read: { event throws(KafkaError) in
      let result = unsafe rd_kafka_event_DeleteRecords_result(event)
      for element in unsafe PartitionList.elements(rd_kafka_DeleteRecords_result_offsets(result))
      where element.code != RD_KAFKA_RESP_ERR_NO_ERROR {
        throw handle.error(element.code, "delete records of \(element.partition)")
      }
    }
  }
}

/// Conversions of librdkafka's partition lists.
enum PartitionList {
  struct Element {
    let partition: TopicPartition
    let offset: Int64
    let code: rd_kafka_resp_err_t
  }

  static func make(
    _ partitions: [TopicPartition], offset: Int64
  ) -> UnsafeMutablePointer<rd_kafka_topic_partition_list_t> {
    let list = unsafe rd_kafka_topic_partition_list_new(Int32(partitions.count))!
    for partition in partitions {
      unsafe rd_kafka_topic_partition_list_add(list, partition.topic, partition.partition)
        .pointee.offset = offset
    }
    return unsafe list
  }

  static func elements(
    _ list: UnsafePointer<rd_kafka_topic_partition_list_t>?
  ) -> [Element] {
    guard let list = unsafe list else { return [] }
    return (0..<Int(unsafe list.pointee.cnt)).map { index in
      let element = unsafe list.pointee.elems[index]
      return Element(
        partition: TopicPartition(unsafe String(cString: element.topic), unsafe element.partition),
        offset: unsafe element.offset, code: unsafe element.err)
    }
  }
}
