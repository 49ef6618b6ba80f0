import Foundation
import Synchronization
import TestSupport
import Testing

/// Many drawn scenarios, several at a time: `FERRY_SEEDS` says how many (500), `FERRY_SEED` names the
/// only one to run, then as many times as `FERRY_SEEDS` says (once).
@Suite("The mirror under drawn disturbances", .serialized)
struct SeedTests {
  /// Shorter than the mirror's default: a scenario lasts less than a second, most of which the mirror
  /// would spend waiting.
  static let stillness = Duration.milliseconds(30)
  private static let atOnce = 12
  private static let failuresToTell = 5

  /// What several tasks take from and add to.
  private final class Desk: Sendable {
    private struct State {
      var waiting: ArraySlice<UInt64>
      var failures: [String] = []
      var reports: [SeedRun.Report] = []
    }

    private let state: Mutex<State>

    init(_ seeds: [UInt64]) { state = Mutex(State(waiting: seeds[...])) }

    /// The next seed; none once enough have failed.
    func next() -> UInt64? {
      state.withLock { $0.failures.count < failuresToTell ? $0.waiting.popFirst() : nil }
    }

    func add(_ report: SeedRun.Report) { state.withLock { $0.reports.append(report) } }
    func add(failure: String) { state.withLock { $0.failures.append(failure) } }
    var failures: [String] { state.withLock { $0.failures } }
    var reports: [SeedRun.Report] { state.withLock { $0.reports } }
  }

  @Test("Nothing is lost, doubled or reordered, and the map is exact", .timeLimit(.minutes(30)))
  func exact() async throws {
    let sandbox = try await Sandbox.shared.value
    let start = ContinuousClock.now
    let seeds = try Self.seeds()
    let desk = Desk(seeds)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<min(Self.atOnce, seeds.count) {
        group.addTask {
          let clients = try await SeedClients(sandbox)
          while let seed = desk.next() {
            do {
              let scenario = SeedScenario(seed: seed, disturbs: Sandbox.canDisturb)
              var run = try await SeedRun(scenario, clients)
              desk.add(try await run.perform())
            } catch {
              desk.add(failure: "seed \(seed) (FERRY_SEED=\(seed) runs it again): \(error)")
            }
          }
        }
      }
      try await group.waitForAll()
    }
    for failure in desk.failures { Issue.record("\(failure)") }
    let reports = desk.reports
    func sum(_ value: (SeedRun.Report) -> Int) -> Int { reports.reduce(0) { $0 + value($1) } }
    print(
      "\(reports.count) of \(seeds.count) seeds hold after \((.now - start) / .seconds(1)) s:",
      "\(sum(\.records)) records, \(sum(\.starts)) starts, \(sum(\.adoptions)) adoptions,",
      "\(sum(\.restarts)) restarts, \(reports.count { $0.isInDoubt }) stops in doubt,",
      "\(sum(\.foreign)) foreign records")
  }

  private static func seeds() throws -> [UInt64] {
    let environment = ProcessInfo.processInfo.environment
    let count = try environment["FERRY_SEEDS"].map { try #require(Int($0)) }
    if let only = environment["FERRY_SEED"] {
      return Array(repeating: try #require(UInt64(only)), count: count ?? 1)
    }
    return (0..<(count ?? 500)).map { UInt64($0) }
  }
}
