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
    var bases = try await checkStillFenced(.source, since: .fence)
    watch.lap("the fence still holds")
    let kit = context.kit.withLock { $0 }
    if kit == nil {
      try await readyCanary()
      watch.lap("canary topics are there")
    }
    await context.during("canary")
    let canary = context.canary
    // The reverse mirror has not run in this attempt, and this same engine has seen the fence hold and
    // compared what the map knows, moments ago. Another one's word is not taken for that.
    let isUnarmed = armed(.reverse) == nil
    let isFresh = isUnarmed && kit != nil
    if isUnarmed {
      let logs = context.clusters.sourceLogs
      for topic in context.rekeyedTopics { try await armReverse(topic, bases: bases) }
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
    // The mirror takes it along where it begins.
    async let sent = sendCanary(kit)
    try await context.mirrors.start(
      .reverse, reversePartitions, rekeyed: context.rekeyedTopics, isUrgent: true,
      isFresh: isFresh)
    try await awaitSettledMirror()
    watch.lap("reverse mirror runs")
    // No client works there yet.
    async let ends = context.ends(on: .target, stable: true)
    try await awaitCanary(try await sent, kit)
    var evidence = Evidence()
    evidence.ends = try await ends
    watch.lap("canary came round, target's ends noted")
    context.kit.withLock { $0 = nil }
    evidence.notes = ["a canary went from \(canary) on the target to the source"]
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

  /// A canary on its way from the target to the source.
  private struct SentCanary {
    let record: Record
    /// Where the source's log ended before.
    let start: Offset
  }

  private func sendCanary(_ kit: WindowKit?) async throws -> SentCanary {
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
    _ = try await context.steadily {
      try await (kit?.canaryWriter ?? RecordWriter(target)).write(record, to: canary)
    }
    await context.during("sent")
    return SentCanary(record: record, start: start)
  }

  private func awaitCanary(_ sent: SentCanary, _ kit: WindowKit?) async throws {
    let canary = context.canary
    let reader = try kit?.canaryReader ?? PartitionReader(context.clusters.source)
    try await wait(.seconds(30)) {
      _ = try await context.mirrors.progress()
      return try await reader.records(of: canary, from: sent.start).contains {
        $0.record == sent.record
      }
    } onTimeout: {
      EngineError.canaryLost(topic: canary.topic)
    }
  }
}
