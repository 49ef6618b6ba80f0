/// The mirror's speed while it had work all the time. What it does with a trickle of new records says
/// nothing of how fast it drains a backlog.
struct BusyRate: Sendable {
  private var last: (records: Int64, lag: Int64?, at: ContinuousClock.Instant)?
  private var busy: Double?
  private var seen: Double = 0

  /// Records a second; what was seen at best where the mirror never had a backlog, which is less than
  /// it can do. `nil` where nothing was copied yet.
  var recordsPerSecond: Double? { busy ?? (seen > 0 ? seen : nil) }

  /// Takes a look at the mirror in.
  ///
  /// - Parameter lag: offsets that were left to copy; `nil` where unknown.
  mutating func sample(records: Int64, lag: Int64?, at now: ContinuousClock.Instant) {
    guard let last, records >= last.records else {
      self.last = (records, lag, now)
      return
    }
    let seconds = (now - last.at) / .seconds(1)
    guard seconds >= 0.4 else { return }
    let copied = records - last.records
    let rate = Double(copied) / seconds
    // It ran dry at no moment if what was left at the beginning was more than what it copied since.
    if copied > 0, let left = last.lag, left > copied {
      busy = busy.map { $0 * 0.7 + rate * 0.3 } ?? rate
    }
    seen = max(seen, rate)
    self.last = (records, lag, now)
  }
}
