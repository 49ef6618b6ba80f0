import Kafka
import KafkaModel
import TestSupport
import Testing

/// Requests to groups' coordinators that have no answer in time.
@Suite struct OverdueRequestTests {
  /// librdkafka 2.0.2 aborts the process when a coordinator is found for a request that it has given up.
  @Test(.enabled(if: Sandbox.canDisturb), .timeLimit(.minutes(2)))
  func requestsThatABrokerNeverAnsweredDoNotHauntItsReturn() async throws {
    let sandbox = try Sandbox()
    let connection = await sandbox.connection(.source)
    let admin = try Admin(connection, timeout: .seconds(1))
    let topic = TopicPartition(try await sandbox.topic(on: .source), 0)
    let groups = (0..<20).map { "group-\($0)" }
    let commits = Dictionary(uniqueKeysWithValues: groups.map { ($0, [topic: Offset(0)]) })
    func ask() async throws {
      try await admin.setCommittedOffsets(commits)
      #expect(try await admin.committedOffsets(of: groups) == commits)
      #expect(try await admin.describeGroups(groups).count == groups.count)
    }
    try await steadily { try await ask() }
    for round in 0..<5 {
      try await sandbox.disturb(.source, "refuse", ["on": true])
      try await sandbox.disturb(.source, "cut")
      for _ in 0...(round % 2) {
        await #expect(throws: KafkaError.self) { try await admin.committedOffsets(of: groups) }
        await #expect(throws: KafkaError.self) { try await admin.describeGroups(groups) }
        await #expect(throws: KafkaError.self) { try await admin.groupNames() }
      }
      try await sandbox.disturb(.source, "heal")
      try await steadily { try await ask() }
    }
    await sandbox.stop()
  }

  /// A broker that was just started, or is there again, may take a moment.
  private func steadily(_ body: () async throws -> Void) async throws {
    let deadline = ContinuousClock.now + .seconds(30)
    while true {
      do {
        return try await body()
      } catch  where ContinuousClock.now < deadline {
        try await Task.sleep(for: .milliseconds(100))
      }
    }
  }
}
