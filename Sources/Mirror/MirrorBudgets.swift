package import Kafka
internal import Synchronization

/// What mirrors may read, in bytes a second. Backfill has a budget of its own, so that it never takes the
/// tail's: records that clients wait for.
package struct MirrorBudgets: Sendable {
  /// For partitions on their first way to the end of their log.
  package let backfill: Throttle
  /// For all others.
  package let tail: Throttle

  /// - Parameters: bytes a second; `nil` is no limit.
  package init(backfill: Int64? = nil, tail: Int64? = nil) {
    self.backfill = Throttle(bytesPerSecond: backfill)
    self.tail = Throttle(bytesPerSecond: tail)
  }
}

/// Whose turn it is to be backfilled: the highest priority's that is left, over all lanes and mirrors that
/// share this.
package final class BackfillOrder: Sendable {
  /// Partitions not caught up yet, by priority.
  private let left = Mutex<[Int: Int]>([:])

  package init() {}

  /// One more partition of this priority is to be backfilled.
  func add(_ priority: Int) { left.withLock { $0[priority, default: 0] += 1 } }

  /// One partition less is.
  func remove(_ priority: Int) {
    left.withLock { left in
      guard let count = left[priority] else { return }
      left[priority] = count > 1 ? count - 1 : nil
    }
  }

  func isTurn(of priority: Int) -> Bool {
    left.withLock { left in !left.keys.contains { $0 > priority } }
  }
}

/// A lane's part in the budgets.
struct SharedBudgets {
  let backfill: SharedBudget
  let tail: SharedBudget

  init(_ budgets: MirrorBudgets) {
    backfill = SharedBudget(budgets.backfill)
    tail = SharedBudget(budgets.tail)
  }
}

/// One reader's part in a budget.
struct SharedBudget {
  private let throttle: Throttle
  private let reader: Throttle.Reader

  init(_ throttle: Throttle) {
    self.throttle = throttle
    reader = throttle.reader()
  }

  /// - Parameter partitions: for how many the reader reads: each counts as much as any of another's.
  func portion(for partitions: Int) -> Int? { throttle.portion(for: reader, weight: partitions) }

  func spend(_ bytes: Int?) { throttle.spend(bytes, for: reader) }
}
