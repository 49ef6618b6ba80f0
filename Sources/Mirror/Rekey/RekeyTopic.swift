package import KafkaModel

/// A topic whose records are dealt to another number of partitions by their keys.
package struct RekeyTopic: Hashable, Sendable {
  package let source: String
  package let target: String
  package let sourceCount: Int
  package let targetCount: Int

  package init(source: String, target: String, sourceCount: Int, targetCount: Int) {
    self.source = source
    self.target = target
    self.sourceCount = sourceCount
    self.targetCount = targetCount
  }

  package func count(on role: ClusterRole) -> Int { role == .source ? sourceCount : targetCount }

  /// As the cluster names them.
  package func partitions(on role: ClusterRole) -> [TopicPartition] {
    let name = role == .source ? source : target
    return (0..<count(on: role)).map { TopicPartition(name, Int32($0)) }
  }

  /// The partitions of a cluster under the topic's name on the source, by which progress is told.
  package func keys(on role: ClusterRole) -> [TopicPartition] {
    (0..<count(on: role)).map { TopicPartition(source, Int32($0)) }
  }
}

/// Keeps rekeyed topics' cuts durably. Topics go by their names on the source.
package protocol RekeyStore: Sendable {
  /// In order; those that were thinned out are missing. Empty where the topic was never armed.
  func cuts(of topic: String) async throws -> [RekeyCut]
  /// Where the round ends that was begun last in this direction and is not known to be complete, by
  /// partition of the origin.
  func intent(of topic: String, _ direction: Direction) async throws -> [Offset]?
  /// Notes that a round is begun, before anything of it is written.
  func begin(_ topic: String, _ direction: Direction, to end: [Offset]) async throws
  /// Notes that the round is complete: the cut behind it takes the place of the intent.
  func complete(_ topic: String, _ cut: RekeyCut) async throws
}
