import Foundation
import Kafka
import Testing

/// Notes the thread of each of its jobs.
private actor Pinned {
  nonisolated let executor: PinnedExecutor
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }
  private var threads: [Thread] = []
  /// As the kernel knows them.
  private(set) var names: Set<String> = []

  init(_ name: String) { executor = PinnedExecutor(name: name) }

  func work() async -> Int {
    note()
    await Task.yield()
    note()
    return threads.count
  }

  private func note() {
    threads.append(Thread.current)
    let name = try? String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8)
    names.insert(name ?? "")
  }

  /// The threads that jobs ran on; `Thread` objects are kept, so that no two share an address.
  var distinctThreads: Int { Set(threads.map { ObjectIdentifier($0) }).count }
}

@Suite("An actor's own thread")
struct PinnedExecutorTests {
  @Test("All jobs of an actor run on one thread, whoever calls")
  func oneThread() async {
    let actor = Pinned("pinned")
    let highest = await withTaskGroup(of: Int.self) { group in
      for _ in 0..<50 { group.addTask { await actor.work() } }
      return await group.reduce(0, max)
    }
    #expect(highest == 100)
    #expect(await actor.distinctThreads == 1)
    #expect(await actor.names == ["pinned\n"])
  }

  @Test("The thread ends when its owner is gone")
  func end() async throws {
    let name = "gone-\(UInt16.random(in: .min ... .max))"
    for _ in 0..<5 {
      let actor = Pinned(name)
      #expect(await actor.work() == 2)
      #expect(Self.threads(named: name) > 0)
    }
    let deadline = ContinuousClock.now + .seconds(10)
    while Self.threads(named: name) > 0, ContinuousClock.now < deadline {
      try await Task.sleep(for: .milliseconds(20))
    }
    #expect(Self.threads(named: name) == 0)
  }

  /// As the kernel lists them.
  private static func threads(named name: String) -> Int {
    let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
    return tasks.count {
      (try? String(contentsOfFile: "/proc/self/task/\($0)/comm", encoding: .utf8)) == name + "\n"
    }
  }

  @Test("Actors that block do not wait for one another")
  func blocking() async {
    let blocked = (0..<8).map { _ in Blocker() }
    let start = ContinuousClock.now
    await withTaskGroup(of: Void.self) { group in
      for each in blocked { group.addTask { await each.block() } }
    }
    #expect(
      ContinuousClock.now - start < .seconds(4), "one after the other they take eight seconds")
  }
}

/// Blocks its thread for a second.
private actor Blocker {
  nonisolated let executor = PinnedExecutor(name: "blocked")
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  func block() { Thread.sleep(forTimeInterval: 1) }
}
