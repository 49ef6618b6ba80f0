internal import Journal
internal import KafkaModel
internal import Mirror

/// Keeps rekeyed topics' cuts in the journal.
struct JournalRekeyStore: RekeyStore {
  let ledger: Ledger

  func cuts(of topic: String) async throws -> [RekeyCut] {
    try ledger.journal.rekeyCuts(of: topic)
  }

  func intent(of topic: String, _ direction: Direction) async throws -> [Offset]? {
    guard let intent = try ledger.journal.rekeyIntent(of: topic) else { return nil }
    guard intent.direction == direction else {
      throw JournalError.invalid(
        reason: "the \(intent.direction.rawValue) mirror of \(topic) has not ended its round")
    }
    return intent.end
  }

  func begin(_ topic: String, _ direction: Direction, to end: [Offset]) async throws {
    try ledger.journal.beginRekeyRound(of: topic, direction, to: end, lease: ledger.lease)
    Failpoint.hit("rekey:begun")
  }

  func complete(_ topic: String, _ cut: RekeyCut) async throws {
    Failpoint.hit("map:before")
    try ledger.journal.appendRekeyCut(cut, of: topic, lease: ledger.lease)
    Failpoint.hit("map:after")
  }
}
