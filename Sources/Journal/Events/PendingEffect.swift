/// An effect that was begun and whose outcome is not recorded: done, half done or not done at all.
package struct PendingEffect: Hashable, Sendable {
  package let id: String
  package let stage: String?
  package let kind: String
  /// JSON text.
  package let payload: String
  /// The event that was recorded together with its beginning.
  package let beganSequence: Int64
}
