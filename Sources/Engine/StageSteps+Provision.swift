internal import Cutover
internal import Foundation
internal import Journal
internal import Kafka
internal import KafkaModel
internal import Mirror
internal import Plan

extension StageSteps {
  /// Creates the target topics that are not there, once all that are there have been found as planned.
  func provision() async throws -> Evidence {
    var evidence = Evidence()
    let topics = context.topics
    let known = Set(try context.ledger.journal.partitions().map(\.target))
    let before = try await look { topic in
      // Topics that an earlier attempt filled are Ferry's own; their ends are reconciled later.
      known.contains(topic.target(of: TopicPartition(topic.name, 0)))
    }
    for topic in topics { if let drift = before.drift(of: topic) { throw drift } }
    let missing = topics.filter { !before.isThere($0) }
    for start in stride(from: 0, to: missing.count, by: TargetCheck.together) {
      try await create(Array(missing[start..<min(start + TargetCheck.together, missing.count)]))
    }
    for topic in topics {
      let what = before.isThere(topic) ? "was there" : "created"
      evidence.notes.append("\(topic.targetName): \(what)")
    }
    await context.during("created")
    try await checkCreated(topics)
    try context.ledger.journal.registerPartitions(
      topics.flatMap { topic in topic.partitions.map { ($0, topic.target(of: $0)) } },
      lease: context.ledger.lease)
    return evidence
  }

  private func look(
    mayHoldRecords: @escaping @Sendable (PlannedTopic) -> Bool
  ) async throws -> TargetCheck {
    let topics = context.topics
    return try await context.steadily {
      try await TargetCheck.look(
        at: topics, on: context.clusters, mayHoldRecords: mayHoldRecords)
    }
  }

  /// Creates topics in one request. One that somebody else has just created counts as created: it is
  /// looked at after that.
  private func create(_ topics: [PlannedTopic]) async throws {
    let admin = context.clusters.targetAdmin
    let wanted = topics.map {
      NewTopic(
        name: $0.targetName, partitions: $0.targetPartitionCount,
        replicationFactor: $0.rule.replication, config: $0.config)
    }
    try await context.steadily {
      let refused = try await admin.createTopics(wanted)
      for error in refused.values where !error.isTopicAlreadyThere { throw error }
    }
  }

  /// Sees the topics there, as planned. A new topic takes a moment to be known everywhere.
  private func checkCreated(_ topics: [PlannedTopic]) async throws {
    try await wait(.seconds(20)) {
      do {
        let found = try await look { _ in true }
        return topics.allSatisfy(found.isThere)
      } catch let error as KafkaError where error.isUnknownTopic {
        return false
      }
    } onTimeout: {
      let found = try await look { _ in true }
      let missing = topics.filter { !found.isThere($0) }.map(\.targetName)
      return KafkaError.timedOut(
        "create topic \(missing.joined(separator: ", "))", cluster: "target")
    }
    let found = try await look { _ in true }
    for topic in topics { if let drift = found.drift(of: topic) { throw drift } }
  }

  /// Arms the forward mirror and starts it.
  func mirror() async throws -> Evidence {
    if armed(.forward) == nil { try await armForward() }
    try await context.mirrors.start(
      .forward, context.partitions, rekeyed: context.rekeyedTopics, isUrgent: false)
    try await awaitSettledMirror()
    return Evidence()
  }

  /// Fixes, before anything is written, where each log stands. A target partition that Ferry never wrote
  /// to has to be empty.
  private func armForward() async throws {
    var bases = try await context.ends(on: .target, stable: false)
    let store = try JournalMapStore(context.ledger)
    var positions: [TopicPartition: Offset] = [:]
    let reader = try PartitionReader(context.clusters.target)
    let earlier = context.ledger.lastBases(.forward)
    for partition in context.ordinaryPartitions {
      let known = try await store.state(of: partition, .forward)
      let target = context.targetName(of: partition)
      let end = bases[partition]!
      if known.mapEnds[.target] == nil, earlier[partition] == nil {
        guard end == Offset(0) else { throw EngineError.targetNotEmpty(target, end: end) }
        continue
      }
      // Markers of the clients' own transactions may follow what is known; these are passed over. Records
      // may be what the mirror of an earlier attempt wrote, killed before it could note that and not
      // started again before the stage was back: reconciliation finds out whose they are.
      let expected = known.expectedEnd(.forward)
      let extra = try await reader.digests(of: target, from: expected, limit: 1, before: end)
      if !extra.isEmpty { bases[partition] = expected }
    }
    // A stage that is tried again goes on where it was: its plan's start counts only once.
    let known = context.ledger.armedPositions(.forward)
    for topic in context.topics {
      positions.merge(try await startPositions(topic)) { _, new in new }
    }
    for topic in context.rekeyedTopics {
      try await armForward(topic, starts: positions, bases: bases)
    }
    positions.merge(known) { _, first in first }
    try context.ledger.record(
      .armed, stage: context.stage.name,
      Armed(
        direction: .forward, attempt: context.machine.attempt, bases: bases, positions: positions))
    await context.during("armed")
  }

  private func startPositions(_ topic: PlannedTopic) async throws -> [TopicPartition: Offset] {
    let admin = context.clusters.sourceAdmin
    let names = topic.partitions
    switch topic.rule.start {
    case .earliest: return try await context.steadily { try await admin.offsets(.start, of: names) }
    case .latest: return try await context.steadily { try await admin.offsets(.end, of: names) }
    case .timestamp(let milliseconds):
      let ends = try await context.steadily { try await admin.offsets(.end, of: names) }
      let found = try await context.steadily {
        try await admin.offsets(.timestamp(milliseconds), of: names)
      }
      return ends.merging(found) { _, found in found }
    }
  }

  /// Waits for the lag gates.
  func catchUp() async throws -> Evidence {
    try await ensureMirrors()
    var gates: [(limit: Int64, sustained: Duration)] = context.stage.gates.compactMap { gate in
      if case .lagBelow(let limit, let sustained) = gate { (limit, sustained) } else { nil }
    }
    if gates.isEmpty { gates = [(1000, .zero)] }
    var since: [ContinuousClock.Instant?] = gates.map { _ in nil }
    while true {
      let lag = try await lag()
      let now = ContinuousClock.now
      for index in gates.indices {
        since[index] = lag <= gates[index].limit ? (since[index] ?? now) : nil
      }
      if gates.indices.allSatisfy({
        since[$0].map { start in now - start } ?? .zero - .seconds(1) >= gates[$0].sustained
      }) {
        var evidence = Evidence()
        evidence.notes = ["the mirror is \(lag) offsets behind"]
        return evidence
      }
      try await Task.sleep(for: .milliseconds(200))
    }
  }

  /// As ``lag()``, of the reverse mirror.
  func reverseLag() async throws -> Int64 {
    let ends = try await context.ends(on: .target, stable: true)
    let progress = try await context.mirrors.uncheckedProgress()
    return ends.reduce(0) { sum, end in
      sum + max(0, end.value - (progress[end.key]?.position ?? end.value))
    }
  }

  /// Offsets between what is mirrored and what can be read, over all partitions.
  func lag(patience: Duration = .seconds(90)) async throws -> Int64 {
    let ends = try await context.ends(on: .source, stable: true, patience: patience)
    let progress = try await context.mirrors.progress()
    return ends.reduce(0) { sum, end in
      sum + max(0, end.value - (progress[end.key]?.position ?? Offset(0)))
    }
  }
}
