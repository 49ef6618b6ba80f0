import Foundation
import Kafka
import KafkaModel
import TestSupport

/// A test's own clients, past the proxies: no fault disturbs what the test writes and reads.
struct SeedClients {
  let sandbox: Sandbox
  private let writers: [ClusterRole: RecordWriter]
  private let readers: [ClusterRole: PartitionReader]
  private let admins: [ClusterRole: Admin]

  init(_ sandbox: Sandbox) async throws {
    self.sandbox = sandbox
    var writers: [ClusterRole: RecordWriter] = [:]
    var readers: [ClusterRole: PartitionReader] = [:]
    var admins: [ClusterRole: Admin] = [:]
    for role in ClusterRole.allCases {
      let connection = await sandbox.connection(role, pastProxy: true)
      writers[role] = try RecordWriter(connection, properties: ["linger.ms": "0"])
      readers[role] = try PartitionReader(connection)
      admins[role] = try Admin(connection, readCommitted: false)
    }
    (self.writers, self.readers, self.admins) = (writers, readers, admins)
  }

  func topic(on role: ClusterRole, partitions: Int) async throws -> String {
    let name = "test-seed-\(UUID().uuidString)"
    // The generator's timestamps are old: retention would take the records, on any broker.
    try await admins[role]!.createTopic(
      name, partitions: Int32(partitions), replicationFactor: 1, config: ["retention.ms": "-1"])
    let deadline = ContinuousClock.now + .seconds(20)
    while (try? await admins[role]!.topics(named: name).first?.partitionCount)
      != Int32(partitions), .now < deadline
    {
      try await Task.sleep(for: .milliseconds(20))
    }
    return name
  }

  func deleteTopic(_ name: String, on role: ClusterRole) async throws {
    try await admins[role]!.deleteTopic(name)
  }

  func write(
    _ records: [Record], on role: ClusterRole, to partition: TopicPartition
  ) async throws -> [SeedLog.Placed] {
    let offsets = try await writers[role]!.write(records, to: partition, patience: .seconds(60))
    return zip(offsets, records).map { ($0, $1) }
  }

  func read(
    _ partition: TopicPartition, on role: ClusterRole, from start: Offset
  ) async throws -> [SeedLog.Placed] {
    try await readers[role]!.records(of: partition, from: start)
  }

  func bounds(_ partition: TopicPartition, on role: ClusterRole) async throws -> LogBounds {
    let admin = admins[role]!
    return try await patiently { try await admin.bounds(of: [partition])[partition]! }
  }

  func dropRecords(
    of partition: TopicPartition, on role: ClusterRole, before end: Offset
  ) async throws {
    let admin = admins[role]!
    try await patiently { try await admin.deleteRecords(before: [partition: end]) }
  }

  /// A broker may know a topic before it leads all of its partitions.
  private func patiently<Answer>(_ ask: () async throws -> Answer) async throws -> Answer {
    let deadline = ContinuousClock.now + .seconds(20)
    while true {
      do {
        return try await ask()
      } catch let error as KafkaError {
        guard .now < deadline else { throw error }
        try await Task.sleep(for: .milliseconds(50))
      }
    }
  }
}
