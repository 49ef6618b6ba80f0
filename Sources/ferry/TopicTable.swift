import Engine
import Foundation

/// Topics on the status screen: a line each, the worst first.
enum TopicTable {
  /// More are counted only.
  static let most = 5

  /// - Parameter all: every topic, rather than those that are behind and no more than ``most`` of them.
  static func lines(_ topics: [TopicStatus], all: Bool) -> [String] {
    guard !topics.isEmpty else { return [] }
    let behind = topics.filter { $0.lag > 0 || $0.faults > 0 }
    let shown = all ? topics : Array(behind.prefix(most))
    let width = shown.map(\.topic.count).max() ?? 0
    var lines = shown.map { topic in
      "    " + topic.topic.padding(toLength: width, withPad: " ", startingAt: 0) + "  "
        + text(topic)
    }
    let left = topics.count - shown.count
    if left > 0 {
      let hidden = behind.count - shown.count
      lines.append(
        "    \(shown.isEmpty ? "" : "and ")\(left) \(left == 1 ? "topic" : "topics")"
          + (hidden > 0 ? ", \(hidden) of them behind" : " caught up") + " (--topics shows all)")
    }
    return lines
  }

  private static func text(_ topic: TopicStatus) -> String {
    var parts = ["at \(topic.position)"]
    if topic.faults > 0 { parts.append("STOPPED in \(topic.faults) of \(topic.partitions)") }
    if topic.lag == 0 {
      parts.append("caught up")
    } else {
      let age = topic.lagSeconds.map { " (\(duration($0)))" } ?? ""
      parts.append("\(topic.isBackfill ? "backfill, " : "")\(topic.lag) behind\(age)")
    }
    if topic.recordsPerSecond >= 0.5 {
      parts.append("\(Int(topic.recordsPerSecond))/s, \(bytes(topic.bytesPerSecond))/s")
    }
    if topic.lag > 0 { parts.append("ETA \(topic.etaSeconds.map(duration) ?? "not in sight")") }
    if let overtaken = topic.overtakenSeconds {
      parts.append(
        topic.isRetentionNear
          ? "RETENTION OVERTAKES IT IN \(duration(overtaken))"
          : "retention overtakes it in \(duration(overtaken))")
    }
    return parts.joined(separator: "  ")
  }

  static func duration(_ seconds: Double) -> String {
    switch seconds {
    case ..<90: "\(Int(seconds.rounded(.up))) s"
    case ..<5400: "\(Int((seconds / 60).rounded(.up))) min"
    case ..<172_800: "\(Int((seconds / 3600).rounded())) h"
    default: "\(Int((seconds / 86400).rounded())) d"
    }
  }

  static func bytes(_ count: Double) -> String {
    let units = ["B", "KiB", "MiB", "GiB"]
    var (value, unit) = (count, 0)
    while value >= 1024, unit < units.count - 1 { (value, unit) = (value / 1024, unit + 1) }
    return "\(Int(value.rounded())) \(units[unit])"
  }
}
