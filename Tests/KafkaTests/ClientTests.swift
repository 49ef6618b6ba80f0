import Foundation
import Kafka
import KafkaModel
import Logging
import Synchronization
import TestSupport
import Testing

private func record(
  _ value: String?, key: String? = "key", headers: [RecordHeader] = [],
  timestamp: Int64 = 1_700_000_000_123
) -> Record {
  Record(
    key: key.map { Array($0.utf8) }, value: value.map { Array($0.utf8) }, headers: headers,
    timestamp: timestamp)
}

/// Passes everything from one partition to another as a mirror does, and ends.
private actor Forwarder {
  nonisolated let executor = PinnedExecutor(name: "forward")
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  func forward(
    _ count: Int, from: (ClusterConnection, TopicPartition), to: (ClusterConnection, TopicPartition)
  ) throws -> [RecordDigest] {
    let consumer = try Consumer(from.0)
    let producer = try Producer(to.0)
    defer {
      producer.close(discarding: true)
      consumer.close()
    }
    let hasher = RecordHasher()
    let topic = try producer.index(of: to.1.topic)
    try consumer.start(from.1, at: .beginning)
    var digests: [RecordDigest] = []
    var failure: (any Error)?
    let deadline = ContinuousClock.now + .seconds(30)
    while digests.count < count, ContinuousClock.now < deadline, failure == nil {
      try consumer.consume(timeoutMilliseconds: 50) { message in
        guard case .record = message.kind else { return .free }
        digests.append(hasher.digest(message))
        do {
          try producer.forward(message, to: topic, partition: to.1.partition)
          return .keep
        } catch {
          failure = error
          return .free
        }
      }
    }
    if let failure { throw failure }
    var errors: [KafkaError] = []
    let isStored = try producer.flush(timeoutMilliseconds: 15_000) { delivery in
      if let error = producer.error(of: delivery) { errors.append(error) }
    }
    #expect(isStored && errors.isEmpty)
    return digests
  }
}

@Suite("The Kafka client on real brokers", .serialized)
struct ClientTests {
  @Test(
    "Null and empty, headers, timestamps and tombstones survive writing, reading and forwarding")
  func shapesSurvive() async throws {
    let sandbox = try await Sandbox.shared.value
    let from = TopicPartition(try await sandbox.topic(on: .source), 0)
    let to = TopicPartition(try await sandbox.topic(on: .target), 0)
    let records = [
      record("value"), record(nil), record(""), record("no key", key: nil),
      record("empty key", key: ""), record(nil, key: nil), record("", key: ""),
      record(
        "headers",
        headers: [
          RecordHeader("b", [1]), RecordHeader("a", nil), RecordHeader("a", []),
          RecordHeader("a", Array("two".utf8)), RecordHeader("", [0]), RecordHeader("ü", [0xFF]),
        ]),
      record("first millisecond", timestamp: 1), record("one later", timestamp: 2),
    ]
    let source = await sandbox.connection(.source)
    let target = await sandbox.connection(.target)
    let offsets = try await RecordWriter(source).write(records, to: from)
    #expect(offsets == (0..<Int64(records.count)).map { Offset($0) })
    let read = try await PartitionReader(source).records(of: from, from: Offset(0))
    #expect(read.map(\.record) == records)

    let digests = try await Forwarder().forward(
      records.count, from: (source, from), to: (target, to))
    let forwarded = try await PartitionReader(target).records(of: to, from: Offset(0))
    #expect(forwarded.map(\.record) == records)
    let hasher = RecordHasher()
    #expect(digests == records.map { hasher.digest($0) })
    #expect(Set(digests).count == records.count, "every one of them is another record")
  }

  @Test("A record of 5 MB is carried")
  func largeRecord() async throws {
    let sandbox = try await Sandbox.shared.value
    let limits = ["max.message.bytes": "8000000"]
    let from = TopicPartition(try await sandbox.topic(on: .source, config: limits), 0)
    let to = TopicPartition(try await sandbox.topic(on: .target, config: limits), 0)
    let properties = ["message.max.bytes": "8000000"]
    let source = await sandbox.connection(.source, properties: properties)
    let target = await sandbox.connection(.target, properties: properties)
    let large = Record(
      key: nil, value: (0..<5_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }, timestamp: 5)
    _ = try await RecordWriter(source).write(large, to: from)
    _ = try await Forwarder().forward(1, from: (source, from), to: (target, to))
    let read = try await PartitionReader(target).records(of: to, from: Offset(0))
    #expect(read.map(\.record) == [large])
  }

  @Test("Offsets: start, end, by time, and the start after records were deleted")
  func offsets() async throws {
    let sandbox = try await Sandbox.shared.value
    let partition = TopicPartition(try await sandbox.topic(on: .source), 0)
    let source = await sandbox.connection(.source)
    let admin = try Admin(source)
    #expect(
      try await admin.bounds(of: [partition])[partition]
        == LogBounds(start: Offset(0), end: Offset(0)))
    let records = (0..<10).map { record("\($0)", timestamp: 1_700_000_000_000 + Int64($0) * 1000) }
    try await RecordWriter(source).write(records, to: partition)
    let at = try await admin.offsets(.timestamp(1_700_000_004_500), of: [partition])
    #expect(at[partition] == Offset(5))
    #expect(try await admin.offsets(.timestamp(1_900_000_000_000), of: [partition]).isEmpty)
    try await admin.deleteRecords(before: [partition: Offset(4)])
    #expect(
      try await admin.bounds(of: [partition])[partition]
        == LogBounds(start: Offset(4), end: Offset(10)))
    let reader = try PartitionReader(source)
    let kept = try await reader.digests(of: partition, from: Offset(4), before: Offset(8))
    #expect(kept.map(\.offset) == (4..<8).map { Offset($0) })
    #expect(try await reader.digests(of: partition, from: Offset(10)).isEmpty)
    await #expect(throws: KafkaError.self) {
      try await reader.digests(of: partition, from: Offset(1))
    }
  }

  @Test("Aborted records and transaction markers are passed over, and a range may end at them")
  func transactions() async throws {
    let sandbox = try await Sandbox.shared.value
    let partition = TopicPartition(try await sandbox.topic(on: .source), 0)
    try await sandbox.writeTransactions(
      ["commit:3", "abort:2", "commit:1"], to: partition, on: .source)
    let source = await sandbox.connection(.source)
    let reader = try PartitionReader(source)
    let all = try await reader.records(of: partition, from: Offset(0))
    #expect(all.map(\.record.value) == [0, 1, 2, 5].map { Array(String($0).utf8) })
    #expect(all.map(\.offset) == [0, 1, 2, 7].map { Offset($0) })
    let end = Offset(9)
    #expect(
      try await Admin(source).bounds(of: [partition])[partition]
        == LogBounds(start: Offset(0), end: end))
    #expect(try await reader.digests(of: partition, from: Offset(0), before: end).count == 4)
    #expect(try await reader.digests(of: partition, from: Offset(3), before: Offset(7)).isEmpty)
    #expect(try await reader.digests(of: partition, from: Offset(8), before: end).isEmpty)
    #expect(try await reader.digests(of: partition, from: end).isEmpty)
  }

  @Test("Topics: created once, described, grown, and configs set without wiping others")
  func topics() async throws {
    let sandbox = try await Sandbox.shared.value
    let admin = try Admin(await sandbox.connection(.source))
    let topic = try await sandbox.topic(
      on: .source, partitions: 2, config: ["retention.ms": "-1", "segment.bytes": "2000000"])
    let error = await #expect(throws: KafkaError.self) {
      try await admin.createTopic(topic, partitions: 2)
    }
    #expect(error?.isTopicAlreadyThere == true)
    #expect(try await admin.topics(named: topic).first?.partitionCount == 2)
    try await admin.setConfigs(["max.message.bytes": "123456"], of: topic)
    let configs = try await admin.configs(of: topic)
    #expect(configs["max.message.bytes"]?.value == "123456")
    #expect(configs["segment.bytes"] == ConfigValue("2000000", isOverride: true))
    #expect(configs["retention.ms"]?.value == "-1")
    try await admin.setConfigs([:], removing: ["max.message.bytes"], of: topic)
    let removed = try await admin.configs(of: topic)
    #expect(removed["max.message.bytes"]?.isOverride != true)
    #expect(removed["segment.bytes"] == ConfigValue("2000000", isOverride: true))
    try await admin.createPartitions(topic, total: 3)
    let deadline = ContinuousClock.now + .seconds(10)
    while try await admin.topics(named: topic).first?.partitionCount != 3,
      ContinuousClock.now < deadline
    { try await Task.sleep(for: .milliseconds(50)) }
    #expect(try await admin.topics(named: topic).first?.partitionCount == 3)
    let missing = await #expect(throws: KafkaError.self) {
      try await admin.topics(named: "test-that-nobody-made")
    }
    #expect(missing?.isUnknownTopic == true)
  }

  @Test("Groups: commits are set and read back, offset 0 is a commit, others stay")
  func groups() async throws {
    let sandbox = try await Sandbox.shared.value
    let admin = try Admin(await sandbox.connection(.target))
    let topic = try await sandbox.topic(on: .target, partitions: 3)
    let group = "group-\(UUID().uuidString)"
    let partitions = (0..<3).map { TopicPartition(topic, Int32($0)) }
    try await Self.patiently {
      try await admin.setCommittedOffsets(
        [partitions[0]: Offset(0), partitions[1]: Offset(7)], of: group)
    }
    try await admin.setCommittedOffsets([partitions[1]: Offset(9)], of: group)
    #expect(
      try await admin.committedOffsets(of: group)
        == [partitions[0]: Offset(0), partitions[1]: Offset(9)])
    #expect(
      try await admin.committedOffsets(of: group, partitions: [partitions[2]]) == [:])
    #expect(try await admin.groupNames().contains(group))
    #expect(try await admin.describeGroup(group).isVacant)
  }

  @Test(
    "Many groups through several clients: each group's commits are its own", arguments: [3, 25, 93])
  func manyGroups(count: Int) async throws {
    let sandbox = try await Sandbox.shared.value
    let connection = await sandbox.connection(.target)
    let topic = try await sandbox.topic(on: .target, partitions: 2)
    let partitions = (0..<2).map { TopicPartition(topic, Int32($0)) }
    let names = (0..<count).map { "group-\(UUID().uuidString)-\($0)" }
    let groups = try GroupAdmins(Admin(connection), connection, groups: names)
    let commits = Dictionary(
      uniqueKeysWithValues: names.enumerated().map { number, name in
        (name, [partitions[number % 2]: Offset(Int64(number))])
      })
    try await Self.patiently { try await groups.setCommittedOffsets(commits) }
    #expect(try await groups.committedOffsets(of: names) == commits)
    #expect(Set(try await groups.describeGroups(names).map(\.name)) == Set(names))
    // One that it was not told of is no different.
    let other = try GroupAdmins(Admin(connection), connection, groups: [])
    #expect(
      try await other.committedOffsets(of: [names[count - 1]]).values.first
        == commits[names[count - 1]])
    // A refusal names its group, whichever client had asked.
    let nowhere = [TopicPartition(topic, 7): Offset(1)]
    let error = await #expect(throws: KafkaError.self) {
      try await groups.setCommittedOffsets([names[0]: [:], names[count - 1]: nowhere])
    }
    #expect(error?.operation.contains(names[count - 1]) == true)
  }

  /// A fresh broker makes its group coordinator at the first question.
  private static func patiently(_ body: () async throws -> Void) async throws {
    let deadline = ContinuousClock.now + .seconds(30)
    while true {
      do { return try await body() } catch let error as KafkaError where error.isRetriable {
        guard ContinuousClock.now < deadline else { throw error }
        try await Task.sleep(for: .milliseconds(200))
      }
    }
  }
}

@Suite("Access rules, which only Apache Kafka has here")
struct ACLTests {
  @Test(
    "A rule is added once, described, and exactly it is removed", .enabled(if: Sandbox.hasKafka))
  func rules() async throws {
    let sandbox = try Sandbox(options: ["--acl"])
    let topic = try await sandbox.topic(on: .source)
    let admin = try Admin(await sandbox.connection(.source))
    let denied = TopicACL(topic: topic, principal: "User:orders", operation: .write, isDenied: true)
    let allowed = TopicACL(topic: topic, principal: "User:*", operation: .read, isDenied: false)
    #expect(try await admin.topicACLs().filter { $0.applies(to: topic) }.isEmpty)
    try await admin.createACLs([denied])
    try await admin.createACLs([denied, allowed])
    #expect(try await Self.eventually(admin, topic) { $0 == [denied, allowed] })
    try await admin.deleteACLs([denied])
    #expect(try await Self.eventually(admin, topic) { $0 == [allowed] })
    try await admin.deleteACLs([denied])
    await sandbox.stop()
  }

  private static func eventually(
    _ admin: Admin, _ topic: String, _ condition: (Set<TopicACL>) -> Bool
  ) async throws -> Bool {
    let deadline = ContinuousClock.now + .seconds(10)
    while ContinuousClock.now < deadline {
      if condition(try await admin.topicACLs().filter { $0.applies(to: topic) }) { return true }
      try await Task.sleep(for: .milliseconds(100))
    }
    return false
  }
}

@Suite("The Kafka client without a broker")
struct NoBrokerTests {
  @Test("An unreachable cluster is named within a bounded time")
  func unreachable() async throws {
    let connection = ClusterConnection(
      name: "target", properties: ["bootstrap.servers": "127.0.0.1:1"],
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let admin = try Admin(connection, timeout: .seconds(2))
    let start = ContinuousClock.now
    let error = await #expect(throws: KafkaError.self) { try await admin.topics() }
    #expect(ContinuousClock.now - start < .seconds(20))
    #expect(error?.isConnectivity == true)
    #expect(error?.summary.contains("target cluster") == true)
    #expect(error?.runbook == "cluster-unreachable.md")
  }

  @Test("A wrong property is named, its value is not")
  func wrongProperty() {
    let connection = ClusterConnection(
      name: "source",
      properties: ["bootstrap.servers": "127.0.0.1:1", "sasl.pasword": "hunter2"],
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let error = #expect(throws: KafkaError.self) { try Admin(connection) }
    #expect(error?.summary.contains("sasl.pasword") == true)
    #expect(error.map { "\($0)".contains("hunter2") } == false)
    #expect(connection.description.contains("hunter2") == false)
  }

  @Test("librdkafka's words reach the log with the cluster's name")
  func logs() async throws {
    let sink = LogSink()
    let connection = ClusterConnection(
      name: "target", properties: ["bootstrap.servers": "127.0.0.1:1"],
      logger: Logger(label: "test") { _ in sink })
    let admin = try Admin(connection, timeout: .seconds(1))
    for _ in 0..<5 where !sink.hasLine { _ = try? await admin.topics() }
    #expect(sink.hasLine)
  }

  @Test("In-process brokers: records are stored in order, whatever the broker answers first")
  func injectedErrors() async throws {
    let connection = ClusterConnection(
      name: "mock",
      properties: ["bootstrap.servers": "unused:1", "test.mock.num.brokers": "1"],
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let writer = try RecordWriter(connection)
    let records = (0..<100).map { record("\($0)") }
    let offsets = try await writer.write(records, to: TopicPartition("mocked", 0))
    #expect(offsets == (0..<100).map { Offset($0) })
  }
}

/// Remembers whether librdkafka said something about the target.
private final class LogSink: LogHandler, Sendable {
  private let found = Mutex(false)
  var hasLine: Bool { found.withLock { $0 } }

  var metadata: Logger.Metadata {
    get { [:] }
    set { if newValue["cluster"] != "target" { found.withLock { $0 = false } } }
  }
  var logLevel: Logger.Level {
    get { .trace }
    set { _ = newValue }
  }
  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { nil }
    set { _ = newValue }
  }

  func log(event: LogEvent) {
    if event.message.description.contains("librdkafka") { found.withLock { $0 = true } }
  }
}
