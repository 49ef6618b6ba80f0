package import KafkaModel

/// What is known of one partition at one moment.
package struct PartitionSample: Hashable, Sendable {
  /// The next offset to read, and bounds of the origin's log.
  package var position: Offset
  package var start: Offset
  package var end: Offset
  /// Stored since the mirror was started.
  package var records: Int64
  package var bytes: Int64
  /// Of the last record stored, in ms since 1970; `nil` where none was since the mirror was started.
  package var timestamp: Int64?
  /// As ``PartitionProgress/isBackfill``.
  package var isBackfill: Bool
  package var isFaulty: Bool

  package init(_ progress: PartitionProgress, start: Offset, end: Offset) {
    position = progress.position
    self.start = start
    self.end = end
    records = progress.records
    bytes = progress.bytes
    timestamp = progress.timestamp
    isBackfill = progress.isBackfill
    isFaulty = progress.fault != nil
  }

  package var lag: Int64 { max(0, end - position) }
}

/// Tells from samples of one partition how it moves. Time is given, in seconds since 1970.
package struct PartitionWatch: Sendable {
  private struct Moment {
    let sample: PartitionSample
    let time: Double
  }

  /// Rates are taken over 15 to 30 s, or what there is.
  private static let span = 15.0
  /// Log starts move by whole segments, so a shorter time says nothing of their speed.
  private static let startSpan = 120.0

  private var first: Moment
  private var older: Moment
  private var middle: Moment
  private var latest: Moment
  private var caughtUp: Double?

  package init(_ sample: PartitionSample, at time: Double) {
    let moment = Moment(sample: sample, time: time)
    (first, older, middle, latest) = (moment, moment, moment, moment)
    if sample.lag == 0 { caughtUp = time }
  }

  package mutating func take(_ sample: PartitionSample, at time: Double) {
    guard sample.records >= latest.sample.records, sample.position >= latest.sample.position else {
      // Another mirror, or one that started over.
      let last = caughtUp
      self = PartitionWatch(sample, at: time)
      caughtUp = caughtUp ?? last
      return
    }
    latest = Moment(sample: sample, time: time)
    if time - middle.time >= Self.span { (older, middle) = (middle, latest) }
    if sample.lag == 0 { caughtUp = time }
  }

  package var sample: PartitionSample { latest.sample }

  /// Seconds over which rates are taken.
  private var seconds: Double { latest.time - older.time }

  private func rate(_ value: (PartitionSample) -> Double) -> Double {
    seconds > 0 ? (value(latest.sample) - value(older.sample)) / seconds : 0
  }

  package var recordsPerSecond: Double { rate { Double($0.records) } }
  package var bytesPerSecond: Double { rate { Double($0.bytes) } }
  /// By how many offsets the lag shrinks a second; negative where it grows.
  package var gainPerSecond: Double { -rate { Double($0.lag) } }

  /// How long ago what is mirrored last was what was written last: the age of the last record, but no
  /// more than the time since the partition was caught up. `nil` where nothing is known yet.
  package var lagSeconds: Double? {
    guard sample.lag > 0 else { return 0 }
    let age = sample.timestamp.map { max(0, latest.time - Double($0) / 1000) }
    return [age, caughtUp.map { latest.time - $0 }].compactMap(\.self).min()
  }

  /// Seconds until the origin drops records before they are mirrored, if both go on as they do; `nil`
  /// where that is not in sight.
  ///
  /// - Parameter retention: after how many seconds the origin drops a record; `nil` is never.
  package func overtaken(retention: Double?) -> Double? {
    guard sample.lag > 0, seconds > 0 else { return nil }
    return [overtakenByAge(retention), overtakenByStart].compactMap(\.self).min()
  }

  /// By time: a record goes when it is older than `retention`, so that the border moves by a second a
  /// second.
  private func overtakenByAge(_ retention: Double?) -> Double? {
    guard let retention, let timestamp = sample.timestamp else { return nil }
    let before = older.sample.timestamp ?? timestamp
    let speed = Double(timestamp - before) / 1000 / seconds
    guard speed < 1 else { return nil }
    let headroom = max(0, retention - (latest.time - Double(timestamp) / 1000))
    return headroom / (1 - max(0, speed))
  }

  /// By what is seen of the log's start, whatever moves it: size, for instance.
  private var overtakenByStart: Double? {
    let watched = latest.time - first.time
    guard watched >= Self.startSpan else { return nil }
    let speed = Double(sample.start - first.sample.start) / watched
    let own = Double(sample.position - first.sample.position) / watched
    guard speed > 0, speed > own else { return nil }
    return Double(max(0, sample.position - sample.start)) / (speed - own)
  }
}
