/// An effect that was begun and whose outcome is not recorded: done, half done or not done at all.
package struct PendingEffect: Hashable, Sendable {
  /// Unique among the pending effects.
  package let id: String
  /// The stage that it works on; `nil` for the migration as a whole.
  package let stage: String?
  /// What is to be done, as the engine names it.
  package let kind: String
  /// JSON text.
  package let payload: String
  /// The event that was recorded together with its beginning.
  package let beganSequence: Int64
}
