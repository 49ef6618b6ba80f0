/// The engine's answer to a command. Given once.
package struct CommandOutcome: Hashable, Sendable, Codable {
  /// False where the engine refused it.
  package var accepted: Bool
  /// For the operator: what was done, or why not.
  package var message: String

  package init(accepted: Bool, message: String) {
    self.accepted = accepted
    self.message = message
  }
}
