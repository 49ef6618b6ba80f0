internal import CRdKafka
package import KafkaModel

/// What librdkafka or a broker refused, with enough context to act on.
package struct KafkaError: Error, Hashable, Sendable {
  /// librdkafka's code: above 0 a broker's error, below 0 one of the client's own (`rdkafka.h`).
  package let code: Int32
  /// librdkafka's symbolic name of ``code``, for instance `UNKNOWN_TOPIC_OR_PART`.
  package let name: String
  /// What was being done, for instance `create topic orders.events`.
  package let operation: String
  /// The cluster it was being done to, as a plan names it.
  package let cluster: String
  /// The broker's or the client's words.
  package let reason: String
  /// The client instance cannot go on (idempotent producer, KIP-360).
  package let isFatal: Bool

  package init(
    code: Int32, name: String, operation: String, cluster: String, reason: String,
    isFatal: Bool = false
  ) {
    self.code = code
    self.name = name
    self.operation = operation
    self.cluster = cluster
    self.reason = reason
    self.isFatal = isFatal
  }

  init(
    _ code: rd_kafka_resp_err_t, operation: String, cluster: String, reason: String? = nil,
    isFatal: Bool = false
  ) {
    self.init(
      code: code.rawValue, name: unsafe String(cString: rd_kafka_err2name(code)),
      operation: operation, cluster: cluster,
      reason: reason ?? (unsafe String(cString: rd_kafka_err2str(code))), isFatal: isFatal)
  }

  /// The cluster could not be reached or did not answer in time; the same call may succeed later.
  package var isConnectivity: Bool {
    [
      RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN,
      RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__RESOLVE,
      RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
      RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION,
    ].contains { $0.rawValue == code }
  }

  /// A passing condition on the broker's side: worth the same call again after a pause.
  package var isRetriable: Bool {
    isConnectivity
      || [
        RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
        RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
        RD_KAFKA_RESP_ERR__WAIT_COORD,
        RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
      ].contains { $0.rawValue == code }
  }

  /// The destination will never take this record as it is; any other error says nothing of the record
  /// that it came with.
  package var refusesRecord: Bool {
    [
      RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE,
      RD_KAFKA_RESP_ERR_INVALID_MSG, RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE,
      RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, RD_KAFKA_RESP_ERR_INVALID_RECORD,
      RD_KAFKA_RESP_ERR_POLICY_VIOLATION, RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT,
      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
    ].contains { $0.rawValue == code }
  }

  /// The credentials were refused.
  package var isAuthentication: Bool {
    [RD_KAFKA_RESP_ERR__AUTHENTICATION, RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED]
      .contains { $0.rawValue == code }
  }

  /// Those credentials do not allow what was asked for.
  package var isAuthorization: Bool {
    [
      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
    ].contains { $0.rawValue == code }
  }

  package var isUnknownTopic: Bool {
    [
      RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
      RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
    ].contains { $0.rawValue == code }
  }

  package var isTopicAlreadyThere: Bool {
    code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS.rawValue
  }

  /// The position asked for is not, or no longer, in the log.
  package var isOffsetOutOfRange: Bool {
    [RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET]
      .contains { $0.rawValue == code }
  }
}

extension KafkaError: OperatorError {
  package var summary: String { "\(cluster) cluster: \(operation): \(reason) (\(name))" }

  package var hint: String {
    if isAuthentication { return "check the credentials that the plan's `client:` refers to" }
    if isConnectivity {
      return
        "check that the \(cluster) cluster's `bootstrap:` is right and reachable from this host, then run the same command again"
    }
    if isUnknownTopic { return "check the topic's name in the plan and on the \(cluster) cluster" }
    return "see the broker's log for this error, mend it, and run the same command again"
  }

  package var runbook: String? {
    isConnectivity || isAuthentication ? "cluster-unreachable.md" : nil
  }
}

extension KafkaError {
  /// A record was acknowledged, but at an offset where another one stands.
  package static func unexpectedOffset(
    _ offset: Offset, expected: Offset, in partition: TopicPartition, cluster: String
  ) -> KafkaError {
    KafkaError(
      RD_KAFKA_RESP_ERR__INCONSISTENT, operation: "write to \(partition)", cluster: cluster,
      reason: "the broker answered offset \(offset) where \(expected) was next")
  }

  /// An answer that did not come in time, noticed by Ferry itself.
  package static func timedOut(_ operation: String, cluster: String) -> KafkaError {
    KafkaError(RD_KAFKA_RESP_ERR__TIMED_OUT, operation: operation, cluster: cluster)
  }
}
