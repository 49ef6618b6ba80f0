/// What keeps producers from writing to a cluster.
package enum Fence: Hashable, Sendable, Codable {
  /// Somebody else does: `FERRY_CLUSTER` says where.
  case hook(Hook)
  /// Ferry does, with rules of its own on the stage's topics: these principals (`User:name`) may not
  /// write there while the fence is up.
  case denyWrite(principals: [String])

  /// For reports.
  package var summary: String {
    switch self {
    case .hook(let hook): hook.summary
    case .denyWrite(let principals): "acl deny-write: \(principals.joined(separator: ", "))"
    }
  }
}
