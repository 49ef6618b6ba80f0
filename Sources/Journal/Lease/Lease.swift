/// The right to run a migration. Every write that moves the migration shows it.
package struct Lease: Hashable, Sendable {
  /// Fencing token: each engine that takes the lease gets the next one, so that a write of an engine
  /// which lost it without noticing is refused.
  package let token: Int64
  /// Who took it.
  package let holder: LeaseHolder
}
