package import Foundation

/// Something that happened, to be recorded for good.
package struct NewEvent: Hashable, Sendable {
  /// The stage that it concerns; `nil` for the migration as a whole.
  package var stage: String?
  /// What happened, as the engine names it. Not empty.
  package var kind: String
  /// JSON text.
  package var payload: String
  /// Recorded to the millisecond.
  package var time: Date

  package init(stage: String? = nil, kind: String, payload: String = "{}", time: Date = Date()) {
    self.stage = stage
    self.kind = kind
    self.payload = payload
    self.time = time
  }
}
