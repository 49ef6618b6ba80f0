/// Something the engine is about to do. It stays pending until an event ends it, so that a crash in
/// between leaves a note of it.
package struct NewEffect: Hashable, Sendable {
  /// Unique among the pending effects; free again once the effect has ended.
  package var id: String
  /// The stage that it works on; `nil` for the migration as a whole.
  package var stage: String?
  /// What is to be done, as the engine names it. Not empty.
  package var kind: String
  /// JSON text.
  package var payload: String

  package init(id: String, stage: String? = nil, kind: String, payload: String = "{}") {
    self.id = id
    self.stage = stage
    self.kind = kind
    self.payload = payload
  }
}
