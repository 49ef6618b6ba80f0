internal import Kafka
internal import KafkaModel
internal import Synchronization

/// Gives one lane's checkpoints to its store, one after the other, while the lane copies on: the store
/// waits for a disk. Once one was refused the store gets no other, for there would be a hole between them.
struct CheckpointSaver {
  private let store: any MapStore
  private let progress: MirrorProgress
  private let wakeUp: WakeUp
  /// The one on its way, or the one that was refused.
  private var saving: Saving?

  /// A checkpoint on its way.
  private struct Saving {
    let task: Task<Void, any Error>
    let isDone: Flag
  }

  private final class Flag: Sendable {
    let isSet = Atomic(false)
  }

  /// - Parameter wakeUp: is woken when a checkpoint is stored, or was refused.
  init(_ store: any MapStore, telling progress: MirrorProgress, waking wakeUp: WakeUp) {
    self.store = store
    self.progress = progress
    self.wakeUp = wakeUp
  }

  /// The next checkpoint may be given: none is on its way, and none was refused.
  var isIdle: Bool { saving == nil }

  /// Begins to store `checkpoints`, and tells of `changes` when they are stored.
  mutating func save(
    _ checkpoints: [MirrorCheckpoint], _ changes: [TopicPartition: PartitionProgress]
  ) {
    precondition(isIdle)
    let isDone = Flag()
    let task = Task { [store, progress, wakeUp] in
      defer {
        isDone.isSet.store(true, ordering: .releasing)
        wakeUp.wake()
      }
      try await store.append(checkpoints)
      // Progress is told after it is durable, so that whoever waits for it may rely on the map.
      progress.update(changes)
    }
    saving = Saving(task: task, isDone: isDone)
  }

  /// Sees whether the checkpoint on its way has arrived.
  ///
  /// Throws: the store's error, as ``finish()``.
  mutating func look() async throws {
    if let saving, saving.isDone.isSet.load(ordering: .acquiring) { try await finish() }
  }

  /// Waits for the checkpoint on its way.
  ///
  /// Throws: the store's error, also of an earlier checkpoint.
  mutating func finish() async throws {
    guard let saving else { return }
    try await saving.task.value
    self.saving = nil
  }
}
