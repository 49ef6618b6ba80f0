/// What has to hold before a stage's clients are touched. An error is never a pass.
package enum Gate: Hashable, Sendable, Codable {
  /// The mirror is at most this many records behind, for this long.
  case lagBelow(Int64, sustained: Duration)
  /// Draining after the fence takes no longer.
  case drainWithin(Duration)
  /// This many different people said yes.
  case approvals(Int)

  /// For reports.
  package var summary: String {
    switch self {
    case .lagBelow(let lag, let sustained): "mirror lag at most \(lag) records for \(sustained)"
    case .drainWithin(let duration): "drain within \(duration)"
    case .approvals(let count): "\(count) approval\(count == 1 ? "" : "s")"
    }
  }
}
