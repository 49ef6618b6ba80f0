/// What is done about records that others write to a stage's source topics after its switch.
package enum StrayPolicy: String, Hashable, Sendable, Codable, CaseIterable {
  /// People are told; they decide with `ferry strays`.
  case alert
  /// They are copied to the target while the stage soaks, and stay on the source as well.
  case forward
  /// The stage goes back by itself, unless somebody stops it within ``grace``.
  case rollback

  /// How long people are told before the stage goes back.
  package static let grace = Duration.seconds(30)
}
