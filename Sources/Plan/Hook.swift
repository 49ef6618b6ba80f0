/// Something of the user's that Ferry calls at a step.
package struct Hook: Hashable, Sendable, Codable {
  /// What is called.
  package enum Action: Hashable, Sendable, Codable {
    /// A program and its arguments, run without a shell in the plan's directory.
    case exec([String])
    /// A request; any status but `expect` is a failure.
    case http(method: String, url: String, body: String?, expect: Int)
    /// A person does what the text says, then `ferry ack`.
    case manual(String)
  }

  package let action: Action
  /// A longer run counts as a failure; 60 s unless the plan says otherwise. Not for manual hooks.
  package let timeout: Duration

  /// For reports: `exec ./hooks/freeze.sh`.
  package var summary: String {
    switch action {
    case .exec(let arguments): "exec \(arguments.joined(separator: " "))"
    case .http(let method, let url, _, let expect): "http \(method) \(url), expecting \(expect)"
    case .manual(let text): "manual: \(text)"
    }
  }
}
