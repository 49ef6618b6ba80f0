internal import CRdKafka
internal import KafkaModel

/// A topic as a cluster describes it.
package struct TopicDescription: Hashable, Sendable, Codable {
  package let name: String
  package let partitionCount: Int32
  /// Replicas of partition 0.
  package let replicationFactor: Int
}

/// A topic to be created.
package struct NewTopic: Hashable, Sendable {
  package let name: String
  package let partitions: Int32
  /// `nil` leaves it to the broker's default.
  package let replicationFactor: Int?
  package let config: [String: String]

  package init(
    name: String, partitions: Int32, replicationFactor: Int? = nil, config: [String: String] = [:]
  ) {
    self.name = name
    self.partitions = partitions
    self.replicationFactor = replicationFactor
    self.config = config
  }
}

/// One effective config value of a topic.
package struct ConfigValue: Hashable, Sendable, Codable {
  package let value: String?
  /// Set on the topic itself, rather than inherited from the broker.
  package let isOverride: Bool

  package init(_ value: String?, isOverride: Bool) {
    self.value = value
    self.isOverride = isOverride
  }
}

extension [String: ConfigValue] {
  /// Whether these are a topic's settings and records give way to later ones of their key.
  package var areOfCompactedTopic: Bool {
    self["cleanup.policy"]?.value?.contains("compact") ?? false
  }
}

extension Admin {
  /// All topics, or one, in order of name.
  ///
  /// Throws: ``KafkaError`` - the cluster cannot be reached, or `name` does not exist.
  package func topics(named name: String? = nil) throws(KafkaError) -> [TopicDescription] {
    let operation = name.map { "describe topic \($0)" } ?? "list topics"
    var only: OpaquePointer?
    if let name { unsafe only = rd_kafka_topic_new(handle.pointer, name, nil) }
    defer { if let only = unsafe only { unsafe rd_kafka_topic_destroy(only) } }
    var pointer: UnsafePointer<rd_kafka_metadata>?
    let code = unsafe rd_kafka_metadata(
      handle.pointer, name == nil ? 1 : 0, only, &pointer, timeoutMilliseconds)
    _ = try unsafe handle.serveEvent(timeoutMilliseconds: 0)
    guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata = unsafe pointer else {
      throw handle.error(code, operation)
    }
    defer { unsafe rd_kafka_metadata_destroy(metadata) }
    var found: [TopicDescription] = []
    for index in 0..<Int(unsafe metadata.pointee.topic_cnt) {
      let topic = unsafe metadata.pointee.topics[index]
      guard unsafe topic.err == RD_KAFKA_RESP_ERR_NO_ERROR else {
        if name != nil { throw handle.error(unsafe topic.err, operation) }
        continue
      }
      let replicas = unsafe topic.partition_cnt > 0 ? topic.partitions[0].replica_cnt : 0
      found.append(
        TopicDescription(
          name: unsafe String(cString: topic.topic), partitionCount: unsafe topic.partition_cnt,
          replicationFactor: Int(replicas)))
    }
    return found.sorted { $0.name < $1.name }
  }

  /// The number of brokers that the cluster says it has.
  package func brokerCount() throws(KafkaError) -> Int {
    var pointer: UnsafePointer<rd_kafka_metadata>?
    let code = unsafe rd_kafka_metadata(handle.pointer, 0, nil, &pointer, timeoutMilliseconds)
    guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata = unsafe pointer else {
      throw handle.error(code, "ask for the brokers")
    }
    defer { unsafe rd_kafka_metadata_destroy(metadata) }
    return Int(unsafe metadata.pointee.broker_cnt)
  }

  /// The cluster's id, where it has one.
  package func clusterID() -> String? {
    guard let text = unsafe rd_kafka_clusterid(handle.pointer, timeoutMilliseconds) else {
      return nil
    }
    defer { unsafe rd_kafka_mem_free(handle.pointer, text) }
    return unsafe String(cString: text)
  }

  /// Creates a topic.
  ///
  /// - Parameter replicationFactor: `nil` leaves it to the broker's default.
  /// Throws: ``KafkaError`` - refused; ``KafkaError/isTopicAlreadyThere`` where it exists.
  package func createTopic(
    _ name: String, partitions: Int32, replicationFactor: Int? = nil,
    config: [String: String] = [:]
  ) throws(KafkaError) {
    let refused = try createTopics([
      NewTopic(
        name: name, partitions: partitions, replicationFactor: replicationFactor, config: config)
    ])
    if let error = refused[name] { throw error }
  }

  /// Creates topics, in one request.
  ///
  /// Returns: why topics were refused, by name; ``KafkaError/isTopicAlreadyThere`` where one exists.
  /// Those that are absent were created.
  /// Throws: ``KafkaError`` - the cluster does not answer: any of them may have been created.
  package func createTopics(_ wanted: [NewTopic]) throws(KafkaError) -> [String: KafkaError] {
    guard let first = wanted.first else { return [:] }
    let operation =
      wanted.count == 1 ? "create topic \(first.name)" : "create \(wanted.count) topics"
    var topics: [OpaquePointer?] = unsafe []
    defer {
      for index in unsafe topics.indices { unsafe rd_kafka_NewTopic_destroy(topics[index]) }
    }
    for each in wanted {
      var message = [CChar](repeating: 0, count: 512)
      guard
        let topic = unsafe rd_kafka_NewTopic_new(
          each.name, each.partitions, Int32(each.replicationFactor ?? -1), &message, message.count)
      else {
        throw handle.error(
          RD_KAFKA_RESP_ERR__INVALID_ARG, "create topic \(each.name)",
          reason: String(decoding: message.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self))
      }
      unsafe topics.append(topic)
      for (key, value) in each.config {
        _ = unsafe rd_kafka_NewTopic_set_config(topic, key, value)
      }
    }
    return try unsafe request(RD_KAFKA_ADMIN_OP_CREATETOPICS, operation, about: topics) {
      list, options, queue in
      unsafe rd_kafka_CreateTopics(handle.pointer, list, wanted.count, options, queue)
    } read: { event throws(KafkaError) -> [String: KafkaError] in
      var count = 0
      let results = unsafe rd_kafka_CreateTopics_result_topics(
        rd_kafka_event_CreateTopics_result(event), &count)
      var refused: [String: KafkaError] = [:]
      for index in 0..<count {
        guard let result = unsafe results?[index] else { continue }
        let name = unsafe String(cString: rd_kafka_topic_result_name(result))
        do throws(KafkaError) {
          try unsafe checkTopic(result, "create topic \(name)")
        } catch {
          refused[name] = error
        }
      }
      return refused
    }
  }

  /// Deletes a topic. For sandboxes: a migration deletes nothing.
  package func deleteTopic(_ name: String) throws(KafkaError) {
    let operation = "delete topic \(name)"
    let topic = unsafe rd_kafka_DeleteTopic_new(name)!
    defer { unsafe rd_kafka_DeleteTopic_destroy(topic) }
    try unsafe request(RD_KAFKA_ADMIN_OP_DELETETOPICS, operation, about: topic) {
      list, options, queue in
      unsafe rd_kafka_DeleteTopics(handle.pointer, list, 1, options, queue)
    } read: { event throws(KafkaError) in
      var count = 0
      let results = unsafe rd_kafka_DeleteTopics_result_topics(
        rd_kafka_event_DeleteTopics_result(event), &count)
      try unsafe checkTopics(results, count, operation)
    }
  }

  /// Gives a topic more partitions: `total` is the new number.
  package func createPartitions(_ topic: String, total: Int) throws(KafkaError) {
    let operation = "give topic \(topic) \(total) partitions"
    var message = [CChar](repeating: 0, count: 512)
    guard
      let wanted = unsafe rd_kafka_NewPartitions_new(topic, total, &message, message.count)
    else { throw handle.error(RD_KAFKA_RESP_ERR__INVALID_ARG, operation) }
    defer { unsafe rd_kafka_NewPartitions_destroy(wanted) }
    try unsafe request(RD_KAFKA_ADMIN_OP_CREATEPARTITIONS, operation, about: wanted) {
      list, options, queue in
      unsafe rd_kafka_CreatePartitions(handle.pointer, list, 1, options, queue)
    } read: { event throws(KafkaError) in
      var count = 0
      let results = unsafe rd_kafka_CreatePartitions_result_topics(
        rd_kafka_event_CreatePartitions_result(event), &count)
      try unsafe checkTopics(results, count, operation)
    }
  }

  private func checkTopics(
    _ results: UnsafeMutablePointer<OpaquePointer?>?, _ count: Int, _ operation: String
  ) throws(KafkaError) {
    for index in 0..<count {
      guard let result = unsafe results?[index] else { continue }
      try unsafe checkTopic(result, operation)
    }
  }

  private func checkTopic(_ result: OpaquePointer, _ operation: String) throws(KafkaError) {
    let code = unsafe rd_kafka_topic_result_error(result)
    guard code != RD_KAFKA_RESP_ERR_NO_ERROR else { return }
    let reason = unsafe rd_kafka_topic_result_error_string(result).map {
      unsafe String(cString: $0)
    }
    throw handle.error(code, operation, reason: reason)
  }

  /// Every effective config of a topic, the broker's defaults included.
  package func configs(of topic: String) throws(KafkaError) -> [String: ConfigValue] {
    try configs(of: [topic])[topic] ?? [:]
  }

  /// Every effective config of several topics, by topic, asked for at once.
  ///
  /// Throws: ``KafkaError`` - also where only one of them may not be described.
  package func configs(
    of topics: [String]
  ) throws(KafkaError) -> [String: [String: ConfigValue]] {
    guard let first = topics.first else { return [:] }
    let operation =
      topics.count == 1
      ? "describe the configs of topic \(first)" : "describe the configs of \(topics.count) topics"
    let resources = unsafe topics.map {
      unsafe rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, $0)
    }
    defer {
      for index in unsafe resources.indices {
        unsafe rd_kafka_ConfigResource_destroy(resources[index])
      }
    }
    return try unsafe request(RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, operation, about: resources) {
      list, options, queue in
      unsafe rd_kafka_DescribeConfigs(handle.pointer, list, topics.count, options, queue)
    } read: { event throws(KafkaError) -> [String: [String: ConfigValue]] in
      var count = 0
      let results = unsafe rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(event), &count)
      try unsafe checkResources(results, count, operation)
      var found: [String: [String: ConfigValue]] = [:]
      for index in 0..<count {
        guard let described = unsafe results?[index] else { continue }
        found[unsafe String(cString: rd_kafka_ConfigResource_name(described))] =
          unsafe Self.entries(described)
      }
      return found
    }
  }

  private static func entries(_ described: OpaquePointer) -> [String: ConfigValue] {
    var count = 0
    let entries = unsafe rd_kafka_ConfigResource_configs(described, &count)
    var found: [String: ConfigValue] = [:]
    for index in 0..<count {
      guard let entry = unsafe entries?[index] else { continue }
      let source = unsafe rd_kafka_ConfigEntry_source(entry)
      found[unsafe String(cString: rd_kafka_ConfigEntry_name(entry))] = ConfigValue(
        unsafe rd_kafka_ConfigEntry_value(entry).map { unsafe String(cString: $0) },
        isOverride: source == RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG)
    }
    return found
  }

  /// Sets configs of a topic and keeps its other overrides: `AlterConfigs` alone would reset them
  /// (KIP-133), so they are described first and sent along.
  ///
  /// - Parameter removing: overrides that are taken away, so that the broker's default counts again.
  package func setConfigs(
    _ changes: [String: String], removing: Set<String> = [], of topic: String
  ) throws(KafkaError) {
    let operation = "set configs of topic \(topic)"
    var merged = try configs(of: topic).filter { $0.value.isOverride }.compactMapValues(\.value)
    merged.merge(changes) { _, new in new }
    for name in removing { merged[name] = nil }
    let resource = unsafe rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic)!
    defer { unsafe rd_kafka_ConfigResource_destroy(resource) }
    for (key, value) in merged {
      _ = unsafe rd_kafka_ConfigResource_set_config(resource, key, value)
    }
    try unsafe request(RD_KAFKA_ADMIN_OP_ALTERCONFIGS, operation, about: resource) {
      list, options, queue in
      unsafe rd_kafka_AlterConfigs(handle.pointer, list, 1, options, queue)
    } read: { event throws(KafkaError) in
      var count = 0
      let results = unsafe rd_kafka_AlterConfigs_result_resources(
        rd_kafka_event_AlterConfigs_result(event), &count)
      try unsafe checkResources(results, count, operation)
    }
  }

  private func checkResources(
    _ results: UnsafeMutablePointer<OpaquePointer?>?, _ count: Int, _ operation: String
  ) throws(KafkaError) {
    for index in 0..<count {
      guard let result = unsafe results?[index] else { continue }
      let code = unsafe rd_kafka_ConfigResource_error(result)
      guard code != RD_KAFKA_RESP_ERR_NO_ERROR else { continue }
      let reason = unsafe rd_kafka_ConfigResource_error_string(result).map {
        unsafe String(cString: $0)
      }
      throw handle.error(code, operation, reason: reason)
    }
  }
}
