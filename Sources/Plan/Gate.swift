/// What has to hold before a stage's clients are touched. An error is never a pass.
package enum Gate: Hashable, Sendable, Codable {
  /// The mirror is at most this many records behind, for this long.
  case lagBelow(Int64, sustained: Duration)
  /// Draining after the fence takes no longer.
  case drainWithin(Duration)
  /// This many different people said yes.
  case approvals(Int)
  /// All that was mirrored this long ago was compared since, and is equal on both sides.
  case validated(within: Duration)
  /// The cutover begins in these hours.
  case window(ChangeWindow)
  /// A program, a service or a person agrees.
  case hook(Hook)

  /// What the plan calls it.
  package var kind: String {
    switch self {
    case .lagBelow: "lagBelow"
    case .drainWithin: "drainWithin"
    case .approvals: "approvals"
    case .validated: "validated"
    case .window: "window"
    case .hook(let hook):
      switch hook.action {
      case .exec: "exec"
      case .http: "http"
      case .manual: "manual"
      }
    }
  }

  /// It looks at how far the mirror is behind.
  package var isAboutLag: Bool {
    switch self {
    case .lagBelow, .drainWithin: true
    default: false
    }
  }

  /// Asking costs something, or disturbs somebody.
  package var isHook: Bool { if case .hook = self { true } else { false } }

  /// For reports.
  package var summary: String {
    switch self {
    case .lagBelow(let lag, let sustained): "mirror lag at most \(lag) records for \(sustained)"
    case .drainWithin(let duration): "drain within \(duration)"
    case .approvals(let count): "\(count) approval\(count == 1 ? "" : "s")"
    case .validated(let age): "all that was mirrored \(age) ago is compared"
    case .window(let window): "window \(window.summary)"
    case .hook(let hook): "a yes of \(hook.summary)"
    }
  }
}
