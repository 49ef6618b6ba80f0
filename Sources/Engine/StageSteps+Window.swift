internal import Cutover
internal import Foundation
internal import Kafka
internal import KafkaModel
internal import Mirror
internal import Offsets
internal import Plan
internal import Synchronization

extension StageSteps {
  func fenceSource() async throws -> Evidence {
    try await ensureMirrors()
    try await awaitSettledMirror()
    // Another engine's preparations died with it.
    if context.kit.withLock({ $0 }) == nil { try await prepareWindow() }
    try await checkGatesAgain()
    let retention = try await extendRetention()
    var evidence = try await fence(.source)
    evidence.notes += retention
    var watch = Stopwatch()
    try await checkPartitionCounts()
    watch.lap("no topic has grown")
    evidence.parts = (evidence.parts ?? []) + watch.parts
    return evidence
  }

  /// Runs the fence and sees every end offset of `cluster` stand still for the stability window. The
  /// ends are the fence offsets, by the partition's name on the source.
  func fence(_ cluster: ClusterRole) async throws -> Evidence {
    var watch = Stopwatch()
    let notes = try await raiseFence(cluster)
    watch.lap("fence up")
    let window = context.stage.stability
    let patience = window * 2 + .seconds(10)
    let start = ContinuousClock.now
    async let news: Void = compareNewsMeanwhile(cluster, after: window / 4)
    var ends = try await context.ends(on: cluster, stable: false)
    let first = ends
    var stillSince = ContinuousClock.now
    while ContinuousClock.now - stillSince < window {
      // The last look comes when the window is over, not a fixed time later.
      let left = window - (ContinuousClock.now - stillSince)
      try await Task.sleep(for: min(.milliseconds(100), max(.milliseconds(1), left)))
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
    watch.lap("end offsets stood still")
    try await awaitNoOpenTransaction(cluster, ends)
    try await probeOwnWrites(on: cluster)
    watch.lap("no open transaction")
    await news
    watch.lap("what was mirrored lately is compared")
    var evidence = Evidence()
    evidence.ends = ends
    evidence.notes = notes + ["\(ends.count) partitions stood still for \(window)"]
    evidence.parts = watch.parts
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
    var watch = Stopwatch()
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
    watch.lap("\(ends.count) partitions mirrored up to their fence offsets")
    await context.during("drained")
    // The reverse mirror comes next, once the stage has got so far.
    await context.mirrors.stop(keepsPrepared: direction == .forward)
    watch.lap("mirror stopped")
    var evidence = Evidence()
    evidence.parts = watch.parts
    return evidence
  }

  /// Nobody may have written behind a fence.
  ///
  /// Returns: where the logs end, by the partition's name on the source.
  @discardableResult
  func checkStillFenced(
    _ cluster: ClusterRole, since fence: Step
  ) async throws -> [TopicPartition: Offset] {
    let fenced = context.ledger.evidence(of: context.stage.name, fence)?.ends ?? [:]
    let now = try await context.ends(on: cluster, stable: false)
    for (partition, end) in fenced.sorted(by: { $0.key < $1.key }) where now[partition] != end {
      throw EngineError.strayWrite(
        context.name(of: partition, on: cluster), from: end, to: now[partition] ?? end)
    }
    return now
  }

  /// Behind what this migration mirrored nothing may stand on the destination.
  func checkNoForeignTail(_ direction: Direction) async throws {
    let store = try JournalMapStore(context.ledger)
    let ends = try await context.ends(on: direction.destination, stable: false)
    for topic in context.rekeyedTopics { try checkNoForeignTail(topic, direction, ends: ends) }
    let partitions = context.ordinaryPartitions
    let states = try await store.states(of: partitions, direction)
    for (partition, state) in zip(partitions, states) {
      var expected = state.expectedEnd(direction)
      if direction == .reverse {
        expected = Stretches(ranges: context.ledger.leftStrays(of: partition)).passing(expected)
      }
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
    var watch = Stopwatch()
    try await checkStillFenced(origin, since: direction == .forward ? .fence : .fenceTarget)
    watch.lap("the fence still holds")
    guard direction == .forward else {
      try await pauseGroups(origin)
      watch.lap("groups paused")
      var evidence = try await carryCommits(direction, &watch) {
        try await context.translationSources(direction)
      }
      evidence.parts = watch.parts
      return evidence
    }
    // The mirror has stopped and nobody else writes to the target: what translation rests on stands still
    // already, whatever the groups do.
    async let sources = context.translationSources(direction)
    try await pauseGroups(origin)
    watch.lap("groups paused")
    let table = try await sources
    watch.lap("offset maps loaded")
    var evidence = try await carryCommits(direction, &watch) { table }
    evidence.parts = watch.parts
    return evidence
  }

  /// Carries the commits of all groups over, once each is empty on the cluster that it leaves.
  ///
  /// - Parameter sources: what translation rests on; asked for again where a group has committed
  ///   further than the map reaches yet.
  func carryCommits(
    _ direction: Direction, _ watch: inout Stopwatch,
    _ sources: @escaping @Sendable () async throws -> TranslationTable
  ) async throws -> Evidence {
    let mover = GroupMover(
      origin: try context.groupAdmins(direction.origin),
      destination: try context.groupAdmins(direction.destination))
    let groups = context.groups
    try await context.steadily { try await mover.awaitVacant(groups, patience: .seconds(30)) }
    watch.lap("groups are empty")
    let first = try await sources()
    if direction == .reverse { watch.lap("offset maps loaded") }
    var policies: [String: MissingCommitPolicy] = [:]
    for group in groups { policies[group] = context.missingCommitPolicy(of: group) }
    let known = policies
    let (moved, costs) = try await awaitingMap(first, sources) { sources in
      let moved = try await context.steadily {
        try await mover.move(groups, partitions: sources, policies: known) {
          await context.during("written")
        }
      }
      return (moved, moved.map { RollbackForecast.Group($0.group, sources.cost(of: $0)) })
    }
    watch.lap("commits read, translated, written and read back")
    var evidence = Evidence()
    if direction == .reverse { evidence.groups = costs.sorted { $0.group < $1.group } }
    let reRead = Dictionary(costs.map { ($0.group, $0.reRead) }) { first, _ in first }
    evidence.notes = moved.sorted { $0.group < $1.group }.flatMap { moved in
      let ordinary = moved.offsets.filter { moved.rekeyed[$0.key.topic] == nil }
        .sorted { $0.key < $1.key }
      let map = ordinary.map {
        "\($0.key) \($0.value.origin?.description ?? "none")->\($0.value.destination)"
      }
      let cuts = moved.rekeyed.sorted { $0.key < $1.key }.map { topic, place in
        "\(topic) goes on in \(place.cut.ends(on: direction.destination).count) partitions at cut \(place.cut.number), of which it re-reads at most \(reRead[moved.group] ?? 0) records"
      }
      return ["group \(moved.group): " + (map + cuts).joined(separator: ", ")]
    }
    return evidence
  }

  /// Repeats `body` with newer `sources` while the map does not reach the groups' commits, for at most
  /// a minute.
  private func awaitingMap<Result: Sendable>(
    _ first: TranslationTable, _ sources: @Sendable () async throws -> TranslationTable,
    _ body: @Sendable (TranslationTable) async throws -> Result
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
