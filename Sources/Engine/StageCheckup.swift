internal import Cutover
internal import Journal
internal import Kafka
internal import KafkaModel
internal import Plan

/// Holds what a journal says of one stage against both clusters.
struct StageCheckup {
  let stage: StagePlan
  let machine: CutoverMachine
  let journal: MigrationJournal
  let clusters: Clusters
  let isEngineRunning: Bool
  let plan: MigrationPlan

  func run(_ diagnosis: inout Diagnosis) async throws {
    let rows = try journal.partitions().filter { row in
      plan.stage(forTopic: row.source.topic)?.name == stage.name
        && !row.source.topic.hasPrefix("ferry.canary.")
    }
    for role in ClusterRole.allCases {
      // A stage that is at an end no longer rests on what it left behind.
      if machine.phase == .rolledBack || machine.phase == .finalized { break }
      try await topics(rows, role, &diagnosis)
    }
    try await groups(&diagnosis)
  }

  private func name(_ row: PartitionRow, _ role: ClusterRole) -> TopicPartition {
    role == .source ? row.source : row.target
  }

  private func topics(
    _ rows: [PartitionRow], _ role: ClusterRole, _ diagnosis: inout Diagnosis
  ) async throws {
    for (topic, some) in Dictionary(grouping: rows, by: { name($0, role).topic }).sorted(by: {
      $0.key < $1.key
    }) {
      var found: Int32?
      do {
        found = try await clusters.admin(role).topics(named: topic).first?.partitionCount
      } catch {
        guard error.isUnknownTopic else { throw error }
      }
      guard let found else {
        diagnosis.trouble(
          "topic \(topic) is gone from the \(role.rawValue)", "see Runbooks/drift.md")
        continue
      }
      guard found >= Int32(some.count) else {
        diagnosis.trouble(
          "topic \(topic) on the \(role.rawValue) has \(found) partitions, mirrored are \(some.count)",
          "see Runbooks/drift.md")
        continue
      }
      let bounds = try await clusters.logs(role).bounds(of: some.map { name($0, role) })
      if let row = some.first, let cut = try journal.lastRekeyCut(of: row.source.topic) {
        try await rekeyed(topic, cut, role, &diagnosis)
        continue
      }
      for row in some {
        guard let log = bounds[name(row, role)] else { continue }
        compare(row, role, log.start, log.end, &diagnosis)
      }
    }
  }

  /// Holds a rekeyed topic's last cut against its logs.
  private func rekeyed(
    _ topic: String, _ cut: RekeyCut, _ role: ClusterRole, _ diagnosis: inout Diagnosis
  ) async throws {
    let names = cut.ends(on: role).indices.map { TopicPartition(topic, Int32($0)) }
    let bounds = try await clusters.logs(role).bounds(of: names)
    for (partition, known) in zip(names, cut.ends(on: role)) {
      guard let log = bounds[partition] else { continue }
      compare(
        partition, role, log.start, log.end, mapped: known, position: known, &diagnosis)
    }
  }

  private func compare(
    _ row: PartitionRow, _ role: ClusterRole, _ start: Offset, _ end: Offset,
    _ diagnosis: inout Diagnosis
  ) {
    compare(
      name(row, role), role, start, end, mapped: row.mapEnd(on: role),
      position: row.positions[direction], &diagnosis)
  }

  private var direction: Direction {
    machine.phase.isReverseMirrored || machine.phase == .finalizing ? .reverse : .forward
  }

  private func compare(
    _ partition: TopicPartition, _ role: ClusterRole, _ start: Offset, _ end: Offset,
    mapped: Offset?, position: Offset?, _ diagnosis: inout Diagnosis
  ) {
    if let mapped, end < mapped {
      diagnosis.trouble(
        "\(partition) on the \(role.rawValue) ends at offset \(end), the journal knows records up to \(mapped - 1)",
        role == direction.destination
          ? "`ferry run` copies again what it can: see Runbooks/target-lost-data.md"
          : "see Runbooks/mirror-stopped.md")
    }
    if role == direction.origin, let position, start > position {
      diagnosis.trouble(
        "\(partition) on the \(role.rawValue) has dropped the records at offsets \(position) to \(start - 1), which were not mirrored",
        "see Runbooks/mirror-stopped.md")
    }
    if role == direction.destination, !isEngineRunning, let mapped, end > mapped {
      diagnosis.note(
        "\(partition) on the \(role.rawValue) holds \(end - mapped) records behind what the journal knows",
        "ferry run tells whether they are its own")
    }
  }

  private func groups(_ diagnosis: inout Diagnosis) async throws {
    guard let fact = try journal.fact("estate") else { return }
    let groups = try JSON.value(PinnedEstate.self, fact).groups[stage.name] ?? []
    guard let home = machine.groupsHome else { return }
    let wrong: ClusterRole = home == .source ? .target : .source
    for group in groups {
      let found = try await clusters.admin(wrong).describeGroup(group)
      guard !found.members.isEmpty else { continue }
      let who = found.members.map { "\($0.clientID) on \($0.host)" }.sorted()
      diagnosis.trouble(
        "group \(group) has members on the \(wrong.rawValue), where it should have none in \(machine.phase.rawValue): \(who.joined(separator: ", "))",
        "stop them there; its commits count on the \(home.rawValue)")
    }
  }
}

extension CutoverMachine {
  /// The cluster on which the stage's groups work; `nil` while they are being moved.
  var groupsHome: ClusterRole? {
    switch phase {
    case .planned, .provisioned, .mirroring, .caughtUp, .validated, .rolledBack: .source
    case .approved: strategy == .together ? .source : nil
    case .fenced, .drained: strategy == .together ? .source : .target
    case .groupsMoved, .following, .switched, .soaking, .finalizing, .finalized: .target
    default: nil
    }
  }
}

private func - (offset: Offset, count: Int64) -> Offset { Offset(offset.rawValue - count) }
