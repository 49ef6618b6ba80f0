package import Foundation

/// An event of the journal, with its place in the chain.
package struct RecordedEvent: Hashable, Sendable, Codable {
  /// 1 for the first event, then without a gap.
  package let sequence: Int64
  /// When it happened, to the millisecond.
  package let time: Date
  /// The stage that it concerns; `nil` for the migration as a whole.
  package let stage: String?
  /// What happened, as the engine names it.
  package let kind: String
  /// JSON text.
  package let payload: String
  /// SHA-256, 64 hexadecimal digits, over this event and the hash of the one before.
  package let hash: String
}
