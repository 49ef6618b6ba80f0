/// What a walk over the whole journal found.
package enum JournalVerification: Hashable, Sendable {
  /// Nothing is damaged. `head` is the hash of the last event (or, without events, of the migration's
  /// name): whoever noted it elsewhere can tell a journal that was rewritten from the start.
  case intact(events: Int64, head: String)
  /// `sequence` is the first event that does not fit; `nil` where the damage is outside the events.
  case broken(sequence: Int64?, what: String)
}
