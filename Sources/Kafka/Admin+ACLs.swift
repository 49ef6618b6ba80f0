internal import CRdKafka
internal import KafkaModel

/// One access rule on one topic, by its literal name.
package struct TopicACL: Hashable, Sendable, Codable {
  package enum Operation: String, Hashable, Sendable, Codable, CaseIterable {
    case all, read, write, describe
  }

  package let topic: String
  /// `User:name`, or `User:*` for everyone.
  package let principal: String
  /// `*` for every host.
  package let host: String
  package let operation: Operation
  package let isDenied: Bool

  package init(
    topic: String, principal: String, host: String = "*", operation: Operation, isDenied: Bool
  ) {
    self.topic = topic
    self.principal = principal
    self.host = host
    self.operation = operation
    self.isDenied = isDenied
  }
}

extension Admin {
  /// Adds a rule. Adding one that is there changes nothing. The cluster needs an authorizer, and its
  /// super users pass whatever rules say.
  package func createACL(_ rule: TopicACL) throws(KafkaError) {
    let operation = "add an ACL to topic \(rule.topic)"
    let binding = try unsafe binding(rule, operation)
    defer { unsafe rd_kafka_AclBinding_destroy(binding) }
    try unsafe request(RD_KAFKA_ADMIN_OP_CREATEACLS, operation, about: binding) {
      list, options, queue in
      unsafe rd_kafka_CreateAcls(handle.pointer, list, 1, options, queue)
    } read: { event throws(KafkaError) in
      var count = 0
      let results = unsafe rd_kafka_CreateAcls_result_acls(
        rd_kafka_event_CreateAcls_result(event), &count)
      for index in 0..<count {
        try unsafe check(rd_kafka_acl_result_error(results?[index]), operation)
      }
    }
  }

  /// Removes exactly this rule; one that is not there is no error.
  package func deleteACL(_ rule: TopicACL) throws(KafkaError) {
    let operation = "remove an ACL from topic \(rule.topic)"
    let filter = try unsafe filter(
      topic: rule.topic, principal: rule.principal, host: rule.host, rule.operation.code,
      rule.isDenied ? RD_KAFKA_ACL_PERMISSION_TYPE_DENY : RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW,
      operation)
    defer { unsafe rd_kafka_AclBinding_destroy(filter) }
    try unsafe request(RD_KAFKA_ADMIN_OP_DELETEACLS, operation, about: filter) {
      list, options, queue in
      unsafe rd_kafka_DeleteAcls(handle.pointer, list, 1, options, queue)
    } read: { event throws(KafkaError) in
      var count = 0
      let responses = unsafe rd_kafka_DeleteAcls_result_responses(
        rd_kafka_event_DeleteAcls_result(event), &count)
      for index in 0..<count {
        try unsafe check(rd_kafka_DeleteAcls_result_response_error(responses?[index]), operation)
      }
    }
  }

  /// The rules on a topic's literal name.
  package func acls(of topic: String) throws(KafkaError) -> Set<TopicACL> {
    let operation = "describe the ACLs of topic \(topic)"
    let filter = try unsafe filter(
      topic: topic, principal: nil, host: nil, RD_KAFKA_ACL_OPERATION_ANY,
      RD_KAFKA_ACL_PERMISSION_TYPE_ANY, operation)
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
        guard let known = TopicACL.Operation.allCases.first(where: { $0.code == code }) else {
          continue
        }
        let permission = unsafe rd_kafka_AclBinding_permission_type(binding)
        rules.insert(
          TopicACL(
            topic: topic,
            principal: unsafe String(cString: rd_kafka_AclBinding_principal(binding)),
            host: unsafe String(cString: rd_kafka_AclBinding_host(binding)), operation: known,
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
    topic: String, principal: String?, host: String?, _ code: rd_kafka_AclOperation_t,
    _ permission: rd_kafka_AclPermissionType_t, _ operation: String
  ) throws(KafkaError) -> OpaquePointer {
    var message = [CChar](repeating: 0, count: 512)
    guard
      let filter = unsafe rd_kafka_AclBindingFilter_new(
        RD_KAFKA_RESOURCE_TOPIC, topic, RD_KAFKA_RESOURCE_PATTERN_LITERAL, principal, host, code,
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
    }
  }
}
