internal import Foundation
internal import Synchronization

/// A budget of bytes a second that several readers share. Changeable while they read.
///
/// It is spent in small portions, so that those who share it get about as much each, and whoever takes
/// more than there was makes up for it by waiting longer: over time the rate is exact.
package final class Throttle: Sendable {
  private struct State {
    var bytesPerSecond: Int64?
    var available: Double = 0
    var refilled = ContinuousClock.now

    mutating func refill(_ rate: Int64) {
      let now = ContinuousClock.now
      let earned = Double(rate) * ((now - refilled) / .seconds(1))
      refilled = now
      // At most 100 ms of budget are saved up, so that a pause is not followed by a burst.
      available = min(available + earned, Double(rate) / 10)
    }
  }

  private let state: Mutex<State>

  /// - Parameter bytesPerSecond: `nil` is no limit.
  package init(bytesPerSecond: Int64?) {
    state = Mutex(State(bytesPerSecond: bytesPerSecond))
  }

  /// A change forgets what was saved up or overdrawn at the old rate.
  package var bytesPerSecond: Int64? {
    get { state.withLock { $0.bytesPerSecond } }
    set { state.withLock { $0 = State(bytesPerSecond: newValue) } }
  }

  /// Bytes that one reader may read now, a hundredth of a second's at most; 0 where it has to wait,
  /// `nil` where there is no limit.
  package var portion: Int? {
    state.withLock { state in
      guard let rate = state.bytesPerSecond else { return nil }
      state.refill(rate)
      return state.available > 0 ? max(1, Int(min(state.available, Double(rate) / 100))) : 0
    }
  }

  /// Whether bytes may be read now.
  package var isOpen: Bool { portion != 0 }

  /// Blocks the thread until bytes may be read, or the task was cancelled.
  package func wait() {
    while !isOpen, !Task.isCancelled { Thread.sleep(forTimeInterval: 0.002) }
  }

  package func spend(_ bytes: Int) {
    state.withLock { if $0.bytesPerSecond != nil { $0.available -= Double(bytes) } }
  }
}
