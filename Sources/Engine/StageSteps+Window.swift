internal import Cutover
internal import Foundation
internal import Kafka
internal import KafkaModel
internal import Mirror
internal import Offsets
internal import Plan

extension StageSteps {
  func fenceSource() async throws -> Evidence {
    try await ensureMirrors()
    try await awaitSettledMirror()
    try await checkGatesAgain()
    let evidence = try await fence(.source)
    try await checkPartitionCounts()
    return evidence
  }

  /// Runs the fence and sees every end offset of `cluster` stand still for the stability window. The
  /// ends are the fence offsets, by the partition's name on the source.
  func fence(_ cluster: ClusterRole) async throws -> Evidence {
    let notes = try await raiseFence(cluster)
    let window = context.stage.stability
    let patience = window * 2 + .seconds(10)
    let start = ContinuousClock.now
    var ends = try await context.ends(on: cluster, stable: false)
    let first = ends
    var stillSince = ContinuousClock.now
    while ContinuousClock.now - stillSince < window {
      try await Task.sleep(for: .milliseconds(100))
      let now = try await context.ends(on: cluster, stable: false)
      if now != ends {
        ends = now
        stillSince = .now
      }
      let waited = ContinuousClock.now - start
      if waited > patience {
        let moving = ends.filter { first[$0.key] != $0.value }.sorted { $0.key < $1.key }
        throw EngineError.fenceDoesNotHold(
          cluster: cluster.rawValue,
          moving: moving.map {
            let moved = $0.value - (first[$0.key] ?? $0.value)
            return
              "\(context.name(of: $0.key, on: cluster)) went from \(first[$0.key] ?? $0.value) to \($0.value), \(Int(Double(moved) / (waited / .seconds(1)))) records/s"
          })
      }
    }
    try await awaitNoOpenTransaction(cluster, ends)
    try await probeOwnWrites(on: cluster)
    var evidence = Evidence()
    evidence.ends = ends
    evidence.notes = notes + ["\(ends.count) partitions stood still for \(window)"]
    return evidence
  }

  /// Readers have to reach the end of every log: an open transaction would hide records behind it.
  private func awaitNoOpenTransaction(
    _ cluster: ClusterRole, _ ends: [TopicPartition: Offset]
  ) async throws {
    let deadline = ContinuousClock.now + .seconds(15)
    while true {
      let stable = try await context.ends(on: cluster, stable: true)
      guard let open = ends.first(where: { stable[$0.key]! < $0.value }) else { return }
      guard ContinuousClock.now < deadline else {
        throw EngineError.openTransaction(
          context.name(of: open.key, on: cluster), stableEnd: stable[open.key]!, end: open.value)
      }
      try await Task.sleep(for: .milliseconds(200))
    }
  }

  private var drainBudget: Duration? {
    context.stage.gates.compactMap { gate in
      if case .drainWithin(let budget) = gate { budget } else { nil }
    }.min()
  }

  /// Waits until the mirror has stored all up to the fence offsets, and stops it.
  func drain(_ direction: Direction, after fence: Step) async throws -> Evidence {
    let ends = context.ledger.evidence(of: context.stage.name, fence)?.ends ?? [:]
    try await ensureMirrors()
    let budget = (direction == .forward ? drainBudget : nil) ?? .seconds(300)
    try await wait(budget) {
      let progress = try await context.mirrors.progress()
      return ends.allSatisfy { progress[$0.key].map { $0.position } ?? Offset(-1) >= $0.value }
    } onTimeout: {
      let progress = try await context.mirrors.progress()
      let left = ends.filter { (progress[$0.key]?.position ?? Offset(0)) < $0.value }
      return EngineError.drainTooSlow(
        within: budget,
        left: left.sorted { $0.key < $1.key }.map {
          "\($0.key) is at \(progress[$0.key]?.position ?? Offset(0)) of \($0.value)"
        })
    }
    await context.mirrors.stop()
    var evidence = Evidence()
    evidence.ends = ends
    return evidence
  }

  /// Nobody may have written behind a fence.
  func checkStillFenced(_ cluster: ClusterRole, since fence: Step) async throws {
    let fenced = context.ledger.evidence(of: context.stage.name, fence)?.ends ?? [:]
    let now = try await context.ends(on: cluster, stable: false)
    for (partition, end) in fenced.sorted(by: { $0.key < $1.key }) where now[partition] != end {
      throw EngineError.strayWrite(
        context.name(of: partition, on: cluster), from: end, to: now[partition] ?? end)
    }
  }

  /// Behind what this migration mirrored nothing may stand on the destination.
  func checkNoForeignTail(_ direction: Direction) async throws {
    let store = try JournalMapStore(context.ledger)
    let ends = try await context.ends(on: direction.destination, stable: false)
    for partition in context.partitions {
      let expected = try await store.state(of: partition, direction).expectedEnd(direction)
      guard let end = ends[partition], end != expected else { continue }
      let name = context.name(of: partition, on: direction.destination)
      throw EngineError.partitionStopped(
        end > expected
          ? .foreignWrite(destination: name, at: expected)
          : .destinationTruncated(destination: name, end: end, expected: expected))
    }
  }

  /// Pauses the groups on the cluster they leave, carries their commits over and reads them back.
  func translate(_ direction: Direction) async throws -> Evidence {
    let origin = direction.origin
    try await checkStillFenced(origin, since: direction == .forward ? .fence : .fenceTarget)
    try await pauseGroups(origin)
    return try await carryCommits(direction) { try await context.translationSources(direction) }
  }

  /// Carries the commits of all groups over, once each is empty on the cluster that it leaves.
  ///
  /// - Parameter sources: what translation rests on; asked for again where a group has committed
  ///   further than the map reaches yet.
  func carryCommits(
    _ direction: Direction, _ sources: @escaping @Sendable () async throws -> [TranslationSource]
  ) async throws -> Evidence {
    let first = try await sources()
    let mover = GroupMover(
      origin: context.clusters.admin(direction.origin),
      destination: context.clusters.admin(direction.destination), direction: direction)
    let notes = NoteList()
    try await forEachGroup { group in
      try await context.steadily { try await mover.awaitVacant(group, patience: .seconds(30)) }
      let policy =
        context.plan.groupRule(for: group).flatMap {
          MissingCommitPolicy(rawValue: $0.missingCommit.rawValue)
        } ?? .error
      let moved = try await awaitingMap(first, sources) { sources in
        try await context.steadily {
          try await mover.move(group, partitions: sources, policy: policy)
        }
      }
      notes.add(
        "group \(group): "
          + moved.offsets.sorted { $0.key < $1.key }.map {
            "\($0.key) \($0.value.origin?.description ?? "none")->\($0.value.destination)"
          }.joined(separator: ", "))
    }
    var evidence = Evidence()
    evidence.notes = notes.sorted
    return evidence
  }

  /// Repeats `body` with newer `sources` while the map does not reach the group's commits, for at most
  /// a minute.
  private func awaitingMap<Result: Sendable>(
    _ first: [TranslationSource], _ sources: @Sendable () async throws -> [TranslationSource],
    _ body: @Sendable ([TranslationSource]) async throws -> Result
  ) async throws -> Result {
    let deadline = ContinuousClock.now + .seconds(60)
    var known = first
    while true {
      do {
        return try await body(known)
      } catch let error as GroupError {
        guard case .beyondMap = error, ContinuousClock.now < deadline else { throw error }
        try await Task.sleep(for: .milliseconds(100))
        known = try await sources()
      }
    }
  }
}
