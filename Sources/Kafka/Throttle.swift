internal import Foundation
internal import Synchronization

/// A budget of bytes a second that several readers share. Changeable while they read.
package final class Throttle: Sendable {
  private struct State {
    var bytesPerSecond: Int64?
    var available: Double = 0
    var refilled = ContinuousClock.now
  }

  private let state: Mutex<State>

  /// - Parameter bytesPerSecond: `nil` is no limit.
  package init(bytesPerSecond: Int64?) {
    state = Mutex(State(bytesPerSecond: bytesPerSecond))
  }

  package var bytesPerSecond: Int64? {
    get { state.withLock { $0.bytesPerSecond } }
    set { state.withLock { $0.bytesPerSecond = newValue } }
  }

  /// Whether bytes may be read now. Reading more than there were is made up for by waiting longer.
  package var isOpen: Bool {
    state.withLock { state in
      guard let rate = state.bytesPerSecond else { return true }
      let now = ContinuousClock.now
      let elapsed = now - state.refilled
      state.refilled = now
      // At most 100 ms of budget are saved up, so that a pause is not followed by a burst.
      state.available = min(
        state.available + Double(rate) * (elapsed / .seconds(1)), Double(rate) / 10)
      return state.available > 0
    }
  }

  /// Blocks the thread until bytes may be read, or the task was cancelled.
  package func wait() {
    while !isOpen, !Task.isCancelled { Thread.sleep(forTimeInterval: 0.002) }
  }

  package func spend(_ bytes: Int) {
    state.withLock { if $0.bytesPerSecond != nil { $0.available -= Double(bytes) } }
  }
}
