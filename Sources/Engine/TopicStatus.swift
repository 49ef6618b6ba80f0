internal import KafkaModel
internal import Mirror

/// What status says of the mirror of one topic.
package struct TopicStatus: Codable, Sendable, Hashable {
  /// Names on the source and on the target.
  package var topic: String
  package var target: String
  package var partitions: Int
  /// Next offsets to read, and ends of the log, summed over partitions.
  package var position: Int64
  package var end: Int64
  /// Offsets not mirrored yet: transaction markers count too.
  package var lag: Int64
  /// How old what is mirrored last is, in the partition that is furthest behind; 0 where all are caught
  /// up, `nil` where it is not known yet.
  package var lagSeconds: Double?
  /// Over the last 15 to 30 s.
  package var recordsPerSecond: Double
  package var bytesPerSecond: Double
  /// Seconds until it is caught up, if it goes on as it does; `nil` where that is not in sight.
  package var etaSeconds: Double?
  /// Seconds until the source drops records before they are mirrored, if both go on as they do; `nil`
  /// where that is not in sight.
  package var overtakenSeconds: Double?
  /// Some partition has not met its end yet.
  package var isBackfill: Bool
  /// Partitions whose mirror stopped.
  package var faults: Int

  /// Records will be lost within hours if nobody does anything.
  package var isRetentionNear: Bool { (overtakenSeconds ?? .infinity) < 6 * 3600 }

  /// The worst first: stopped ones, those that retention is about to overtake, those furthest behind.
  package static func isWorse(_ left: TopicStatus, _ right: TopicStatus) -> Bool {
    func rank(_ topic: TopicStatus) -> (Double, Double, Double, Double) {
      (
        Double(-topic.faults), topic.overtakenSeconds ?? .infinity,
        -(topic.lag > 0 ? topic.lagSeconds ?? 0 : 0), Double(-topic.lag)
      )
    }
    let (before, after) = (rank(left), rank(right))
    return before == after ? left.topic < right.topic : before < after
  }

  init(_ topic: PlannedTopic, _ watches: [PartitionWatch], _ direction: Direction) {
    self.topic = topic.name
    target = topic.targetName
    partitions = watches.count
    let samples = watches.map(\.sample)
    position = samples.reduce(0) { $0 + $1.position.rawValue }
    end = samples.reduce(0) { $0 + $1.end.rawValue }
    lag = samples.reduce(0) { $0 + $1.lag }
    let behind = watches.filter { $0.sample.lag > 0 }
    let ages = behind.map(\.lagSeconds)
    lagSeconds = ages.contains(nil) ? nil : ages.compactMap(\.self).max() ?? 0
    recordsPerSecond = watches.reduce(0) { $0 + $1.recordsPerSecond }
    bytesPerSecond = watches.reduce(0) { $0 + $1.bytesPerSecond }
    let gain = watches.reduce(0) { $0 + $1.gainPerSecond }
    etaSeconds = lag == 0 ? 0 : (gain > 0 ? Double(lag) / gain : nil)
    if direction == .forward {
      let retention = topic.sourceRetention?.milliseconds.map { Double($0) / 1000 }
      overtakenSeconds = watches.compactMap { $0.overtaken(retention: retention) }.min()
    }
    isBackfill = samples.contains(where: \.isBackfill)
    faults = samples.count(where: \.isFaulty)
  }
}
