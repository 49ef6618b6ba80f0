internal import CRdKafka

/// What this process freed and its C library keeps for later, most of it librdkafka's.
package enum FreedMemory {
  /// Gives it back to the system (`malloc_trim(3)`).
  package static func giveBack() { _ = malloc_trim(0) }
}
