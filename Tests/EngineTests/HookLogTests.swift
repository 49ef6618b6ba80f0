import Foundation
import Journal
import Testing

@testable import Engine

@Suite("The journal of hooks' runs")
struct HookLogTests {
  private let folder = FileManager.default.temporaryDirectory
    .appending(path: "hook-log-\(UUID().uuidString)")

  private func withJournal(
    _ body: (MigrationJournal, Lease) async throws -> Void
  ) async throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let journal = try MigrationJournal.open(
      at: folder.appending(path: "a.ferry.db").path(), mode: .create(migration: "a"))
    let lease = try journal.acquireLease(holder: .current, duration: .seconds(60))
    try await body(journal, lease)
  }

  private static func record(_ id: String) -> HookRecord {
    HookRecord(id: id, hook: "exec", output: "", seconds: 0)
  }

  @Test("A run is durable when its hook's caller goes on, and each is written once")
  func durable() async throws {
    try await withJournal { journal, lease in
      let log = HookLog(try Ledger(journal, lease: lease), stage: "wave-1")
      try await withThrowingTaskGroup(of: Void.self) { tasks in
        for number in 0..<200 {
          tasks.addTask {
            try await log.write(Self.record("pause/\(number)/end"))
            let written = try journal.events().contains {
              $0.payload.contains("pause/\(number)/end")
            }
            #expect(written, "run \(number) is told to be written, and is not")
          }
        }
        try await tasks.waitForAll()
      }
      let ids = try journal.events().filter { $0.kind == "hook" }.map {
        try JSON.value(HookRecord.self, $0.payload).id
      }
      #expect(Set(ids) == Set((0..<200).map { "pause/\($0)/end" }))
      #expect(ids.count == 200)
    }
  }

  @Test("Nobody who waits goes on when the journal has another owner")
  func fenced() async throws {
    try await withJournal { journal, lease in
      let log = HookLog(try Ledger(journal, lease: lease), stage: "wave-1")
      journal.release(lease)
      await withTaskGroup(of: Void.self) { tasks in
        for number in 0..<20 {
          tasks.addTask {
            await #expect(throws: JournalError.self) {
              try await log.write(Self.record("pause/\(number)"))
            }
          }
        }
      }
      #expect(try journal.events().isEmpty)
    }
  }
}
