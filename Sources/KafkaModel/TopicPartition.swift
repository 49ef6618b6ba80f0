/// One partition of one topic on some cluster.
package struct TopicPartition: Hashable, Comparable, Sendable, Codable {
  package var topic: String
  package var partition: Int32

  package init(_ topic: String, _ partition: Int32) {
    self.topic = topic
    self.partition = partition
  }

  package static func < (lhs: TopicPartition, rhs: TopicPartition) -> Bool {
    (lhs.topic, lhs.partition) < (rhs.topic, rhs.partition)
  }
}

extension TopicPartition: CustomStringConvertible {
  /// `topic:partition`, the form that commands accept.
  package var description: String { "\(topic):\(partition)" }
}
