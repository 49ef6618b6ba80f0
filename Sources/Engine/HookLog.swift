internal import Journal

/// Journals the runs of hooks. Those that end while the journal is on its way to the disk are written
/// together after that: a thousand groups are not a thousand commits.
actor HookLog {
  private struct Waiting {
    let record: HookRecord
    let done: CheckedContinuation<Void, any Error>
  }

  private let ledger: Ledger
  private let stage: String
  private var waiting: [Waiting] = []
  private var isWriting = false

  init(_ ledger: Ledger, stage: String) {
    self.ledger = ledger
    self.stage = stage
  }

  /// Returns once the record is durable.
  ///
  /// Throws: `JournalError` - it is not.
  func write(_ record: HookRecord) async throws {
    try await withCheckedThrowingContinuation { done in
      waiting.append(Waiting(record: record, done: done))
      if !isWriting {
        isWriting = true
        Task { await writeAll() }
      }
    }
  }

  private func writeAll() async {
    while !waiting.isEmpty {
      let together = waiting
      waiting = []
      do {
        try await Self.write(together.map(\.record), ledger, stage)
        for each in together { each.done.resume() }
      } catch {
        for each in together { each.done.resume(throwing: error) }
      }
    }
    isWriting = false
  }

  /// Apart from the actor, which gathers the next ones meanwhile.
  @concurrent
  private static func write(
    _ records: [HookRecord], _ ledger: Ledger, _ stage: String
  ) async throws {
    try ledger.record(.hook, stage: stage, all: records)
  }
}
