package import Foundation

/// An event of the journal, with its place in the chain.
package struct RecordedEvent: Hashable, Sendable, Codable {
  /// 1 for the first event, then without a gap.
  package let sequence: Int64
  package let time: Date
  package let stage: String?
  package let kind: String
  /// JSON text.
  package let payload: String
  /// SHA-256, 64 hexadecimal digits, over this event and the hash of the one before.
  package let hash: String
}
