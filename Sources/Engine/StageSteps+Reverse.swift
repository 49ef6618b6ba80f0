internal import Cutover
internal import Foundation
internal import Journal
internal import Kafka
internal import KafkaModel
internal import Plan
internal import Synchronization

extension StageSteps {
  /// Starts the reverse mirror exactly at the ends of both logs, and sees a canary come back to the
  /// source through it, before any client moves.
  func armReverse() async throws -> Evidence {
    var watch = Stopwatch()
    try await checkStillFenced(.source, since: .fence)
    watch.lap("the fence still holds")
    let retention = try await extendRetention()
    if !retention.isEmpty { watch.lap("retention extended") }
    let canary = context.canary
    try await createCanaries()
    watch.lap("canary topics are there")
    await context.during("canary")
    _ = try context.ledger.journal.registerPartition(
      source: canary, target: canary, lease: context.ledger.lease)
    var stoodStill = Duration.zero
    if armed(.reverse) == nil {
      // The reverse mirror has not run in this attempt, and nobody has written to the source since.
      stoodStill = context.stillSince.withLock { $0 }.map { .now - $0 } ?? .zero
      var bases = try await context.ends(on: .source, stable: false)
      let logs = context.clusters.sourceLogs
      bases.merge(try await context.steadily { try await logs.offsets(.end, of: [canary]) }) {
        _, new in new
      }
      try context.ledger.record(
        .armed, stage: context.stage.name,
        Armed(
          direction: .reverse, attempt: context.machine.attempt, bases: bases, positions: [:]))
      await context.during("armed")
    }
    watch.lap("both ends noted")
    try await context.mirrors.start(
      .reverse, reversePartitions, isUrgent: true, stoodStill: stoodStill)
    try await awaitSettledMirror()
    watch.lap("reverse mirror runs")
    try await sendCanary()
    watch.lap("canary came round")
    var evidence = Evidence()
    evidence.ends = try await context.ends(on: .target, stable: true)
    watch.lap("target's ends noted")
    evidence.notes = retention + ["a canary went from \(canary) on the target to the source"]
    evidence.parts = watch.parts
    return evidence
  }

  /// On both clusters at once.
  func createCanaries() async throws {
    async let source: Void = createCanary(on: .source)
    async let target: Void = createCanary(on: .target)
    _ = try await (source, target)
  }

  func createCanary(on role: ClusterRole) async throws {
    let admin = context.clusters.admin(role)
    let topic = context.canary.topic
    try await context.steadily {
      do {
        try await admin.createTopic(topic, partitions: 1, config: ["retention.ms": "-1"])
      } catch let error as KafkaError where error.isTopicAlreadyThere {}
    }
    try await wait(.seconds(20)) {
      do {
        return try await admin.topics(named: topic).first != nil
      } catch let error as KafkaError where error.isUnknownTopic || error.isRetriable {
        return false
      }
    } onTimeout: {
      KafkaError.timedOut("create topic \(topic)", cluster: role.rawValue)
    }
  }

  private func sendCanary() async throws {
    let canary = context.canary
    let record = Record(
      key: nil, value: Array("canary \(UUID().uuidString)".utf8),
      headers: [RecordHeader("ferry", Array(context.plan.name.utf8))],
      timestamp: Int64(Date().timeIntervalSince1970 * 1000))
    let source = context.clusters.sourceAdmin
    let start =
      try await context.steadily { try await source.offsets(.end, of: [canary]) }[canary]
      ?? Offset(0)
    let target = context.clusters.target
    _ = try await context.steadily { try await RecordWriter(target).write(record, to: canary) }
    await context.during("sent")
    let reader = try PartitionReader(context.clusters.source)
    try await wait(.seconds(30)) {
      _ = try await context.mirrors.progress()
      return try await reader.records(of: canary, from: start).contains { $0.record == record }
    } onTimeout: {
      EngineError.canaryLost(topic: canary.topic)
    }
  }
}
