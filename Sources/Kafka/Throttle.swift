internal import Foundation
internal import Synchronization

/// A budget of bytes a second that several readers share. Changeable while they read.
///
/// Whoever takes more than there was makes up for it by waiting longer: over time the rate is exact.
/// Nobody gets a turn while another one who has something to read is far behind, so that all get as
/// much, whatever the size of their records; one who reads for several gets as much for each.
package final class Throttle: Sendable {
  /// One of those who share a budget.
  package struct Reader: Hashable, Sendable {
    fileprivate let number: Int
  }

  /// What a reader has had for each that it reads for, beginning with what the others had when it came.
  private struct Account {
    var taken: Double
    /// For how many it reads.
    var weight = 1.0
    /// When it last got a turn, there was something to read.
    var isBusy = false
    var asked: ContinuousClock.Instant
  }

  private struct State {
    var bytesPerSecond: Int64?
    var available: Double = 0
    var refilled: ContinuousClock.Instant
    var readers = 0
    var accounts: [Int: Account] = [:]

    mutating func refill(_ rate: Int64, at now: ContinuousClock.Instant) {
      available += Double(rate) * ((now - refilled) / .seconds(1))
      available = min(available, Double(rate) * Throttle.saved)
      refilled = now
    }

    /// The least that anyone has had who has something to read and asks for it.
    var least: Double? {
      accounts.values.lazy.filter(\.isBusy).map(\.taken).min()
    }

    /// How far one may be ahead of another, of what each had for one that it reads for.
    var lead: Double {
      let busy = accounts.values.lazy.filter(\.isBusy).map(\.weight)
      let weight = busy.isEmpty ? 1 : busy.reduce(0, +) / Double(busy.count)
      return Double(bytesPerSecond ?? 0) * Throttle.lead / weight
    }

    /// The account of a reader that asks now.
    mutating func account(of reader: Reader, at now: ContinuousClock.Instant) -> Account {
      accounts = accounts.filter { now - $0.value.asked <= Throttle.patience }
      var account = accounts[reader.number] ?? Account(taken: least ?? 0, asked: now)
      if !account.isBusy {
        // Who comes back has little claim to what the others had meanwhile.
        account.taken = max(account.taken, (least ?? 0) - lead)
      }
      account.asked = now
      return account
    }
  }

  /// At most so many seconds of budget are saved up: short standstills of the readers are made up for,
  /// and no pause is followed by a burst that counts in ten seconds.
  private static let saved = 0.25
  /// A reader may be ahead of another by so many seconds of budget, if they read for as many: those that
  /// stand still for a moment keep nobody else from using it.
  private static let lead = 0.1
  /// Nobody waits for a reader that has not asked for so long.
  private static let patience = Duration.milliseconds(250)

  private let state: Mutex<State>
  private let now: @Sendable () -> ContinuousClock.Instant

  /// - Parameters:
  ///   - bytesPerSecond: `nil` is no limit.
  ///   - now: tells the time.
  package init(
    bytesPerSecond: Int64?, now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
  ) {
    self.now = now
    state = Mutex(State(bytesPerSecond: bytesPerSecond, refilled: now()))
  }

  /// A change forgets what was saved up or overdrawn at the old rate.
  package var bytesPerSecond: Int64? {
    get { state.withLock { $0.bytesPerSecond } }
    set {
      let now = now()
      state.withLock { state in
        state.bytesPerSecond = newValue
        state.available = 0
        state.refilled = now
        state.accounts.removeAll()
      }
    }
  }

  /// One more to share the budget.
  package func reader() -> Reader {
    state.withLock { state in
      state.readers += 1
      return Reader(number: state.readers)
    }
  }

  /// Bytes that one reader may read now, a hundredth of a second's at most; 0 where it has to wait,
  /// `nil` where there is no limit. Whoever gets some tells with ``spend(_:for:)`` what became of it.
  ///
  /// - Parameter weight: for how many it reads, partitions for instance.
  package func portion(for reader: Reader, weight: Int = 1) -> Int? {
    let now = now()
    return state.withLock { state in
      guard let rate = state.bytesPerSecond else { return nil }
      state.refill(rate, at: now)
      var account = state.account(of: reader, at: now)
      account.weight = Double(max(1, weight))
      state.accounts[reader.number] = account
      let least = state.least ?? account.taken
      guard state.available > 0, account.taken <= least + state.lead else {
        // It may have something to read, who knows: the others leave it its part.
        state.accounts[reader.number]?.isBusy = true
        return 0
      }
      return max(1, Int(min(state.available, Double(rate) / 100)))
    }
  }

  /// Tells what a reader has read; `nil` where it found nothing, then nobody waits for it.
  package func spend(_ bytes: Int?, for reader: Reader) {
    let now = now()
    state.withLock { state in
      guard state.bytesPerSecond != nil else { return }
      var account = state.account(of: reader, at: now)
      account.taken += Double(bytes ?? 0) / account.weight
      account.isBusy = bytes != nil
      state.accounts[reader.number] = account
      state.available -= Double(bytes ?? 0)
    }
  }

  /// Blocks the thread until bytes may be read, or the task was cancelled.
  package func wait(for reader: Reader) {
    while portion(for: reader) == 0, !Task.isCancelled { Thread.sleep(forTimeInterval: 0.002) }
  }
}
