internal import Kafka
internal import KafkaModel

/// What a running lane knows.
struct LaneState {
  var slots: SlotTable
  /// Slots with something to checkpoint.
  var dirty: [Int] = []
  var saver: CheckpointSaver
  /// Records read and not yet reported on.
  var outstandingRecords = 0
  var outstandingBytes = 0
  /// Taken from each queue, and held back by its budget; lines are slots.
  var heldBack: [Turns<HeldMessage>] = Consumer.Queue.allCases.map { _ in Turns() }
  /// Where somebody asked for it.
  var timing: LaneTiming?
  /// Partitions that are not tail yet.
  var backfillLeft = 0
  /// Backfill that has met its end, to be read as tail.
  var caughtUp: [Int] = []
  /// A budget keeps the lane from reading.
  var isHeldBack = false
  /// The origin dropped records that were to be read next: the lane ends once all that it has read is
  /// stored.
  var gap: KafkaError?
  /// Why the lane has to end, if it has: the producer ended, or what it wrote is in doubt.
  var end: KafkaError?

  init(slots: SlotTable, saver: CheckpointSaver) {
    self.slots = slots
    self.saver = saver
    backfillLeft = slots.all.count { $0.backfill != nil }
  }

  /// Records read and not stored, those included that are held back.
  var pendingRecords: Int { heldBack.reduce(outstandingRecords) { $0 + $1.count } }
  var pendingBytes: Int { heldBack.reduce(outstandingBytes) { $0 + $1.bytes } }

  /// Changes a slot, and notes that there is something to checkpoint.
  mutating func change<Result>(_ index: Int, _ body: (inout Slot) -> Result) -> Result {
    if !slots[index].isDirty {
      slots[index].isDirty = true
      dirty.append(index)
    }
    return body(&slots[index])
  }
}

/// Slots, found by the consumer's topic index and the partition.
struct SlotTable {
  private(set) var all: [Slot] = []
  /// A row of `width` for each topic, an index for each partition; -1 where the lane has nothing to do with
  /// it. One array, for rows of their own would be retained at each look.
  private var indexes: [Int32]
  private let width: Int

  init(_ slots: [(slot: Slot, topic: Int)]) {
    all = slots.map(\.slot)
    width = slots.map { Int($0.slot.origin.partition) + 1 }.max() ?? 0
    let topics = slots.map { $0.topic + 1 }.max() ?? 0
    indexes = Array(repeating: -1, count: topics * width)
    for (index, (slot, topic)) in slots.enumerated() {
      indexes[topic * width + Int(slot.origin.partition)] = Int32(index)
    }
  }

  func index(_ topic: Int, _ partition: Int32) -> Int? {
    let place = topic * width + Int(partition)
    guard topic >= 0, partition >= 0, partition < width, place < indexes.count else { return nil }
    let index = indexes[place]
    return index < 0 ? nil : Int(index)
  }

  subscript(_ index: Int) -> Slot {
    // Not `get`, which copies a slot, with a dozen counted references, for each of its fields that is read.
    _read { yield all[index] }
    _modify { yield &all[index] }
  }
}
