internal import CRdKafka
internal import Glibc
package import KafkaModel

/// A consumer group as its coordinator describes it.
package struct GroupDescription: Hashable, Sendable {
  package enum State: String, Hashable, Sendable, Codable {
    case unknown, preparingRebalance, completingRebalance, stable, dead, empty
  }

  package struct Member: Hashable, Sendable, Codable {
    package let clientID: String
    package let host: String
    package let consumerID: String
  }

  package let name: String
  package let state: State
  package let members: [Member]

  /// No client is in the group, so its committed offsets stand still and may be set.
  package var isVacant: Bool { members.isEmpty && (state == .empty || state == .dead) }
}

extension Admin {
  /// The names of all consumer groups, in order.
  package func groupNames() throws(KafkaError) -> [String] {
    try unsafe request(RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS, "list consumer groups", about: nil) {
      _, options, queue in
      unsafe rd_kafka_ListConsumerGroups(handle.pointer, options, queue)
    } read: { event throws(KafkaError) -> [String] in
      let result = unsafe rd_kafka_event_ListConsumerGroups_result(event)
      var errorCount = 0
      let errors = unsafe rd_kafka_ListConsumerGroups_result_errors(result, &errorCount)
      if errorCount > 0 { try unsafe check(unsafe errors?[0], "list consumer groups") }
      var count = 0
      let listed = unsafe rd_kafka_ListConsumerGroups_result_valid(result, &count)
      var names: [String] = []
      for index in 0..<count {
        guard let group = unsafe listed?[index] else { continue }
        names.append(unsafe String(cString: rd_kafka_ConsumerGroupListing_group_id(group)))
      }
      return names.sorted()
    }
  }

  /// State and members of a group. A group that does not exist is described as `dead`.
  package func describeGroup(_ name: String) throws(KafkaError) -> GroupDescription {
    try describeGroups([name]).first ?? GroupDescription(name: name, state: .dead, members: [])
  }

  /// State and members of groups, asked for all at once. Groups that do not exist are described as
  /// `dead`, or left out.
  package func describeGroups(_ names: [String]) throws(KafkaError) -> [GroupDescription] {
    guard let first = names.first else { return [] }
    let operation =
      names.count == 1 ? "describe group \(first)" : "describe \(names.count) groups"
    return try unsafe request(RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, operation, about: nil) {
      _, options, queue in
      let texts = unsafe names.map { unsafe strdup($0) }
      defer { for index in unsafe texts.indices { unsafe free(texts[index]) } }
      var list = unsafe texts.map { unsafe UnsafePointer<CChar>($0) }
      unsafe rd_kafka_DescribeConsumerGroups(handle.pointer, &list, list.count, options, queue)
    } read: { event throws(KafkaError) -> [GroupDescription] in
      var count = 0
      let groups = unsafe rd_kafka_DescribeConsumerGroups_result_groups(
        rd_kafka_event_DescribeConsumerGroups_result(event), &count)
      var found: [GroupDescription] = []
      for index in 0..<count {
        guard let group = unsafe groups?[index] else { continue }
        let name = unsafe String(cString: rd_kafka_ConsumerGroupDescription_group_id(group))
        try unsafe check(
          unsafe rd_kafka_ConsumerGroupDescription_error(group), "describe group \(name)")
        found.append(unsafe Self.description(group, name))
      }
      return found
    }
  }

  private static func description(_ group: OpaquePointer, _ name: String) -> GroupDescription {
    let members = (0..<(unsafe rd_kafka_ConsumerGroupDescription_member_count(group))).map {
      index in
      let member = unsafe rd_kafka_ConsumerGroupDescription_member(group, index)
      return GroupDescription.Member(
        clientID: unsafe String(cString: rd_kafka_MemberDescription_client_id(member)),
        host: unsafe String(cString: rd_kafka_MemberDescription_host(member)),
        consumerID: unsafe String(cString: rd_kafka_MemberDescription_consumer_id(member)))
    }
    let state: GroupDescription.State =
      switch unsafe rd_kafka_ConsumerGroupDescription_state(group) {
      case RD_KAFKA_CONSUMER_GROUP_STATE_PREPARING_REBALANCE: .preparingRebalance
      case RD_KAFKA_CONSUMER_GROUP_STATE_COMPLETING_REBALANCE: .completingRebalance
      case RD_KAFKA_CONSUMER_GROUP_STATE_STABLE: .stable
      case RD_KAFKA_CONSUMER_GROUP_STATE_DEAD: .dead
      case RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY: .empty
      default: .unknown
      }
    return GroupDescription(name: name, state: state, members: members)
  }

  /// The group's committed offsets. With `partitions`, only theirs; absent ones have no commit.
  package func committedOffsets(
    of group: String, partitions: [TopicPartition]? = nil
  ) throws(KafkaError) -> [TopicPartition: Offset] {
    let operation = "read the committed offsets of group \(group)"
    if let partitions, partitions.isEmpty { return [:] }
    let list = unsafe partitions.map {
      unsafe PartitionList.make($0, offset: Int64(RD_KAFKA_OFFSET_INVALID))
    }
    defer { if let list = unsafe list { unsafe rd_kafka_topic_partition_list_destroy(list) } }
    let question = unsafe rd_kafka_ListConsumerGroupOffsets_new(group, list)!
    defer { unsafe rd_kafka_ListConsumerGroupOffsets_destroy(question) }
    return try unsafe request(
      RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, operation, about: question
    ) { list, options, queue in
      unsafe rd_kafka_ListConsumerGroupOffsets(handle.pointer, list, 1, options, queue)
    } read: { event throws(KafkaError) -> [TopicPartition: Offset] in
      var count = 0
      let groups = unsafe rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(event), &count)
      return try unsafe committed(groups, count, operation).filter { $0.value.rawValue >= 0 }
    }
  }

  /// Sets committed offsets of a group without members, with leader epoch -1: an epoch of the other
  /// cluster would make consumers here loop (KIP-320). Offsets of other partitions stay.
  ///
  /// Throws: ``KafkaError`` - refused, for instance because the group has members.
  package func setCommittedOffsets(
    _ offsets: [TopicPartition: Offset], of group: String
  ) throws(KafkaError) {
    guard !offsets.isEmpty else { return }
    let operation = "set the committed offsets of group \(group)"
    let list = unsafe rd_kafka_topic_partition_list_new(Int32(offsets.count))!
    defer { unsafe rd_kafka_topic_partition_list_destroy(list) }
    for (partition, offset) in offsets {
      unsafe rd_kafka_topic_partition_list_add(list, partition.topic, partition.partition)
        .pointee.offset = offset.rawValue
    }
    let change = unsafe rd_kafka_AlterConsumerGroupOffsets_new(group, list)!
    defer { unsafe rd_kafka_AlterConsumerGroupOffsets_destroy(change) }
    try unsafe request(RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS, operation, about: change) {
      list, options, queue in
      unsafe rd_kafka_AlterConsumerGroupOffsets(handle.pointer, list, 1, options, queue)
    } read: { event throws(KafkaError) in
      var count = 0
      let groups = unsafe rd_kafka_AlterConsumerGroupOffsets_result_groups(
        rd_kafka_event_AlterConsumerGroupOffsets_result(event), &count)
      _ = try unsafe committed(groups, count, operation)
    }
  }

  /// All committed offsets of several groups, by group: one question each, all under way at once.
  package func committedOffsets(
    of groups: [String]
  ) throws(KafkaError) -> [String: [TopicPartition: Offset]] {
    var questions: [OpaquePointer?] = unsafe []
    defer {
      for index in unsafe questions.indices {
        unsafe rd_kafka_ListConsumerGroupOffsets_destroy(questions[index])
      }
    }
    for group in groups {
      unsafe questions.append(rd_kafka_ListConsumerGroupOffsets_new(group, nil)!)
    }
    let found = try unsafe requests(
      RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, about: questions
    ) { index in
      "read the committed offsets of group \(groups[index])"
    } send: { question, options, queue in
      unsafe rd_kafka_ListConsumerGroupOffsets(handle.pointer, question, 1, options, queue)
    } read: { index, event throws(KafkaError) -> [TopicPartition: Offset] in
      var count = 0
      let answers = unsafe rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(event), &count)
      return try unsafe committed(
        answers, count, "read the committed offsets of group \(groups[index])"
      ).filter { $0.value.rawValue >= 0 }
    }
    return Dictionary(zip(groups, found)) { first, _ in first }
  }

  /// As ``setCommittedOffsets(_:of:)`` for several groups, by group: one request each, all under way at
  /// once. Where one is refused others may have been set.
  package func setCommittedOffsets(
    _ offsets: [String: [TopicPartition: Offset]]
  ) throws(KafkaError) {
    let groups = offsets.keys.filter { offsets[$0]?.isEmpty == false }.sorted()
    var changes: [OpaquePointer?] = unsafe []
    defer {
      for index in unsafe changes.indices {
        unsafe rd_kafka_AlterConsumerGroupOffsets_destroy(changes[index])
      }
    }
    for group in groups {
      let commits = offsets[group] ?? [:]
      let list = unsafe rd_kafka_topic_partition_list_new(Int32(commits.count))!
      defer { unsafe rd_kafka_topic_partition_list_destroy(list) }
      for (partition, offset) in commits {
        unsafe rd_kafka_topic_partition_list_add(list, partition.topic, partition.partition)
          .pointee.offset = offset.rawValue
      }
      unsafe changes.append(rd_kafka_AlterConsumerGroupOffsets_new(group, list)!)
    }
    _ = try unsafe requests(
      RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS, about: changes
    ) { index in
      "set the committed offsets of group \(groups[index])"
    } send: { change, options, queue in
      unsafe rd_kafka_AlterConsumerGroupOffsets(handle.pointer, change, 1, options, queue)
    } read: { index, event throws(KafkaError) -> [TopicPartition: Offset] in
      var count = 0
      let answers = unsafe rd_kafka_AlterConsumerGroupOffsets_result_groups(
        rd_kafka_event_AlterConsumerGroupOffsets_result(event), &count)
      return try unsafe committed(
        answers, count, "set the committed offsets of group \(groups[index])")
    }
  }

  private func committed(
    _ groups: UnsafeMutablePointer<OpaquePointer?>?, _ count: Int, _ operation: String
  ) throws(KafkaError) -> [TopicPartition: Offset] {
    var found: [TopicPartition: Offset] = [:]
    for index in 0..<count {
      guard let group = unsafe groups?[index] else { continue }
      try unsafe check(unsafe rd_kafka_group_result_error(group), operation)
      for element in unsafe PartitionList.elements(rd_kafka_group_result_partitions(group)) {
        guard element.code == RD_KAFKA_RESP_ERR_NO_ERROR else {
          throw handle.error(element.code, "\(operation) for \(element.partition)")
        }
        found[element.partition] = Offset(element.offset)
      }
    }
    return found
  }
}
