import KafkaModel
import Mirror
import Synchronization

/// A mirror at work that may end by itself.
struct SeedMirror {
  let replicator: Replicator
  let task: Task<Void, any Error>
  let ended: Ended

  final class Ended: Sendable {
    private let flag = Mutex(false)
    var isSet: Bool { flag.withLock { $0 } }
    func set() { flag.withLock { $0 = true } }
  }

  init(_ replicator: Replicator, _ partitions: [TopicPartition]) {
    let ended = Ended()
    self.replicator = replicator
    self.ended = ended
    task = Task {
      defer { ended.set() }
      try await replicator.run(partitions)
    }
  }
}
