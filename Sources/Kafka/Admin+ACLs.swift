internal import CRdKafka
internal import KafkaModel

/// One access rule on topics.
package struct TopicACL: Hashable, Sendable, Codable {
  package enum Operation: String, Hashable, Sendable, Codable, CaseIterable {
    case all, read, write, describe
    /// Any other that a cluster has told of; never sent.
    case other
  }

  package enum Pattern: String, Hashable, Sendable, Codable {
    /// The topic of this name, or every topic where the name is `*`.
    case literal
    /// Every topic whose name begins so.
    case prefixed
  }

  package let topic: String
  package let pattern: Pattern
  /// `User:name`, or `User:*` for everyone.
  package let principal: String
  /// `*` for every host.
  package let host: String
  package let operation: Operation
  package let isDenied: Bool

  package init(
    topic: String, pattern: Pattern = .literal, principal: String, host: String = "*",
    operation: Operation, isDenied: Bool
  ) {
    self.topic = topic
    self.pattern = pattern
    self.principal = principal
    self.host = host
    self.operation = operation
    self.isDenied = isDenied
  }

  /// Whether an authorizer looks at the rule when somebody asks for `name`.
  package func applies(to name: String) -> Bool {
    switch pattern {
    case .literal: topic == name || topic == "*"
    case .prefixed: name.hasPrefix(topic)
    }
  }
}

extension Admin {
  /// Adds rules on topics' literal names, in one request. Adding one that is there changes nothing. The
  /// cluster needs an authorizer, and its super users pass whatever rules say.
  package func createACLs(_ rules: [TopicACL]) throws(KafkaError) {
    guard !rules.isEmpty else { return }
    let operation = "add \(rules.count) ACLs"
    var bindings: [OpaquePointer?] = unsafe []
    defer {
      for index in unsafe bindings.indices { unsafe rd_kafka_AclBinding_destroy(bindings[index]) }
    }
    for rule in rules { unsafe bindings.append(try binding(rule, operation)) }
    try unsafe request(RD_KAFKA_ADMIN_OP_CREATEACLS, operation, about: bindings) {
      list, options, queue in
      unsafe rd_kafka_CreateAcls(handle.pointer, list, rules.count, options, queue)
    } read: { event throws(KafkaError) in
      var count = 0
      let results = unsafe rd_kafka_CreateAcls_result_acls(
        rd_kafka_event_CreateAcls_result(event), &count)
      for index in 0..<count {
        try unsafe check(
          rd_kafka_acl_result_error(results?[index]), "add an ACL to topic \(rules[index].topic)")
      }
    }
  }

  /// Removes exactly these rules on topics' literal names; one that is not there is no error.
  package func deleteACLs(_ rules: [TopicACL]) throws(KafkaError) {
    guard !rules.isEmpty else { return }
    let operation = "remove \(rules.count) ACLs"
    var filters: [OpaquePointer?] = unsafe []
    defer {
      for index in unsafe filters.indices { unsafe rd_kafka_AclBinding_destroy(filters[index]) }
    }
    for rule in rules {
      unsafe filters.append(
        try filter(
          topic: rule.topic, RD_KAFKA_RESOURCE_PATTERN_LITERAL, principal: rule.principal,
          host: rule.host, rule.operation.code,
          rule.isDenied ? RD_KAFKA_ACL_PERMISSION_TYPE_DENY : RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW,
          operation))
    }
    try unsafe request(RD_KAFKA_ADMIN_OP_DELETEACLS, operation, about: filters) {
      list, options, queue in
      unsafe rd_kafka_DeleteAcls(handle.pointer, list, rules.count, options, queue)
    } read: { event throws(KafkaError) in
      var count = 0
      let responses = unsafe rd_kafka_DeleteAcls_result_responses(
        rd_kafka_event_DeleteAcls_result(event), &count)
      for index in 0..<count {
        try unsafe check(rd_kafka_DeleteAcls_result_response_error(responses?[index]), operation)
      }
    }
  }

  /// All rules on topics, whatever names they stand under; none as well where the cluster has no authorizer
  /// or keeps its rules from Ferry, for librdkafka 2.0.2 drops that answer's error
  /// (`rd_kafka_DescribeAclsResponse_parse` in its source). Only a rule that is seen proves anything.
  package func topicACLs() throws(KafkaError) -> Set<TopicACL> {
    let operation = "describe the ACLs of topics"
    let filter = try unsafe filter(
      topic: nil, RD_KAFKA_RESOURCE_PATTERN_ANY, principal: nil, host: nil,
      RD_KAFKA_ACL_OPERATION_ANY, RD_KAFKA_ACL_PERMISSION_TYPE_ANY, operation)
    defer { unsafe rd_kafka_AclBinding_destroy(filter) }
    return try unsafe request(RD_KAFKA_ADMIN_OP_DESCRIBEACLS, operation, about: filter) {
      list, options, queue in
      unsafe rd_kafka_DescribeAcls(handle.pointer, list.pointee, options, queue)
    } read: { event throws(KafkaError) -> Set<TopicACL> in
      var count = 0
      let found = unsafe rd_kafka_DescribeAcls_result_acls(
        rd_kafka_event_DescribeAcls_result(event), &count)
      var rules: Set<TopicACL> = []
      for index in 0..<count {
        guard let binding = unsafe found?[index] else { continue }
        let code = unsafe rd_kafka_AclBinding_operation(binding)
        let pattern = unsafe rd_kafka_AclBinding_resource_pattern_type(binding)
        let permission = unsafe rd_kafka_AclBinding_permission_type(binding)
        rules.insert(
          TopicACL(
            topic: unsafe String(cString: rd_kafka_AclBinding_name(binding)),
            pattern: pattern == RD_KAFKA_RESOURCE_PATTERN_PREFIXED ? .prefixed : .literal,
            principal: unsafe String(cString: rd_kafka_AclBinding_principal(binding)),
            host: unsafe String(cString: rd_kafka_AclBinding_host(binding)),
            operation: TopicACL.Operation.allCases.first { $0.code == code } ?? .other,
            isDenied: permission == RD_KAFKA_ACL_PERMISSION_TYPE_DENY))
      }
      return rules
    }
  }

  private func binding(
    _ rule: TopicACL, _ operation: String
  ) throws(KafkaError) -> OpaquePointer {
    var message = [CChar](repeating: 0, count: 512)
    let permission =
      rule.isDenied ? RD_KAFKA_ACL_PERMISSION_TYPE_DENY : RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW
    guard
      let binding = unsafe rd_kafka_AclBinding_new(
        RD_KAFKA_RESOURCE_TOPIC, rule.topic, RD_KAFKA_RESOURCE_PATTERN_LITERAL, rule.principal,
        rule.host, rule.operation.code, permission, &message, message.count)
    else { throw handle.error(RD_KAFKA_RESP_ERR__INVALID_ARG, operation) }
    return unsafe binding
  }

  private func filter(
    topic: String?, _ pattern: rd_kafka_ResourcePatternType_t, principal: String?, host: String?,
    _ code: rd_kafka_AclOperation_t, _ permission: rd_kafka_AclPermissionType_t, _ operation: String
  ) throws(KafkaError) -> OpaquePointer {
    var message = [CChar](repeating: 0, count: 512)
    guard
      let filter = unsafe rd_kafka_AclBindingFilter_new(
        RD_KAFKA_RESOURCE_TOPIC, topic, pattern, principal, host, code,
        permission, &message, message.count)
    else { throw handle.error(RD_KAFKA_RESP_ERR__INVALID_ARG, operation) }
    return unsafe filter
  }
}

extension TopicACL.Operation {
  fileprivate var code: rd_kafka_AclOperation_t {
    switch self {
    case .all: RD_KAFKA_ACL_OPERATION_ALL
    case .read: RD_KAFKA_ACL_OPERATION_READ
    case .write: RD_KAFKA_ACL_OPERATION_WRITE
    case .describe: RD_KAFKA_ACL_OPERATION_DESCRIBE
    case .other: RD_KAFKA_ACL_OPERATION_UNKNOWN
    }
  }
}
