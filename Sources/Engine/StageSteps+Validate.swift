internal import Cutover
internal import Foundation
internal import Journal
internal import Kafka
internal import KafkaModel
internal import Logging
internal import Mirror
internal import Plan
internal import Synchronization
internal import Validation

extension StageSteps {
  /// Compares everything mirrored so far that was not compared before.
  func validate() async throws -> Evidence {
    try await ensureMirrors()
    try await awaitSettledMirror()
    let began = Date().timeIntervalSince1970
    let ends = try await context.mirrors.progress().mapValues(\.position)
    let evidence = try await compareSettled(ends)
    try context.ledger.record(
      .proof, stage: context.stage.name,
      Proof(attempt: context.machine.attempt, time: began, ends: ends))
    return evidence
  }

  /// Compares what was mirrored since the last comparison, so that less is left for ``seal()``. Compacted
  /// topics are left out: each comparison of them reads everything.
  func compareNews() async throws {
    let ends = try await context.mirrors.progress().mapValues(\.position)
    _ = try await compareSettled(ends, isPreparation: true)
  }

  /// As ``compareNews()`` behind the source's fence, while its ends are seen to stand still: what is left is
  /// little by then, and nobody waits for it. As fast as it can, like ``seal()``, which compares what this
  /// leaves for any reason, and says what is wrong.
  ///
  /// - Parameter delay: lets the mirror come to its end.
  func compareNewsMeanwhile(_ cluster: ClusterRole, after delay: Duration) async {
    guard cluster == .source else { return }
    do {
      try await Task.sleep(for: delay)
      let ends = try await context.mirrors.progress().mapValues(\.position)
      _ = try await compareForward(ends, ReadBudget(), isPreparation: true)
    } catch {
      context.logger.debug("what was mirrored lately is left for later: \(error)")
    }
  }

  private func compareSettled(
    _ ends: [TopicPartition: Offset], isPreparation: Bool = false
  ) async throws -> Evidence {
    let budget = ReadBudget(bytesPerSecond: context.plan.validate.bytesPerSecond)
    do {
      return try await compareForward(ends, budget, isPreparation: isPreparation)
    } catch let error as EngineError {
      guard case .differences = error else { throw error }
      // A target that has just lost its tail gets it again from the mirror: what counts is what is still
      // different after that.
      context.logger.notice("\(error.summary); looking again")
      try await Task.sleep(for: .seconds(2))
      try await wait(.seconds(60)) {
        let now = try await context.mirrors.progress()
        let isSettled = try await context.mirrors.isSettled()
        return isSettled && ends.allSatisfy { $0.value <= now[$0.key]?.position ?? Offset(-1) }
      } onTimeout: {
        error
      }
      return try await compareForward(ends, budget, isPreparation: isPreparation)
    }
  }

  /// Compares up to the fence offsets, and sees that the fence still holds. Producers stand still
  /// meanwhile, so this reads as fast as it can, whatever the plan allows before.
  func seal() async throws -> Evidence {
    var watch = Stopwatch()
    async let fenced = checkStillFenced(.source, since: .fence)
    async let foreign: Void = checkNoForeignTail(.forward)
    // Most of it was compared while the fence was seen to hold; this need not wait for the other two.
    let fence = context.ledger.evidence(of: context.stage.name, .fence)?.ends ?? [:]
    async let compared = compareForward(fence, ReadBudget())
    _ = try await (fenced, foreign)
    watch.lap("the fence still holds, nothing foreign on the target")
    var evidence = try await compared
    watch.lap("compared up to the fence offsets")
    evidence.parts = watch.parts
    return evidence
  }

  private func compareForward(
    _ ends: [TopicPartition: Offset], _ budget: ReadBudget, isPreparation: Bool = false
  ) async throws -> Evidence {
    let store = try JournalMapStore(context.ledger)
    let admin = context.clusters.sourceAdmin
    let partitions = context.ordinaryPartitions
    let starts = try await context.steadily { try await admin.offsets(.start, of: partitions) }
    let maps = try store.maps(of: partitions)
    let validated = try context.ledger.journal.validatedUpTo()
    var dropped: Int64 = 0
    var ranges: [ComparisonRange] = []
    for topic in context.topics
    where topic.rekey == nil && !(isPreparation && topic.isCompacted) {
      for partition in topic.partitions {
        guard let map = maps[partition], let first = map.segments.first, let end = ends[partition]
        else { continue }
        let proved = topic.isCompacted ? nil : validated[store.partitions[partition]!.id]
        let wanted = max(first.sourceStart, proved ?? first.sourceStart)
        // What retention has taken from the source since is beyond proof.
        let from = max(wanted, starts[partition] ?? wanted)
        if from > wanted {
          dropped += map.pairs(in: wanted..<from, on: .source).reduce(0) { $0 + $1.count }
        }
        guard from < end else { continue }
        guard let mapped = map.translate(from, from: .source) else { continue }
        ranges.append(
          ComparisonRange(
            source: partition, target: topic.target(of: partition), sourceRange: from..<end,
            targetRange: mapped..<(map.translate(end, from: .source) ?? map.end(on: .target)!),
            map: map, isCompacted: topic.isCompacted,
            passedOver: context.strays(in: map, partition)))
      }
    }
    var (evidence, verdicts) = try await compare(ranges, budget, isPreparation: isPreparation)
    if dropped > 0 {
      evidence.notes.append(
        "SKIPPED: the source dropped \(dropped) mirrored records before they were compared")
    }
    let found = Dictionary(verdicts.map { ($0.source, $0) }) { first, _ in first }
    let proved = ranges.filter { !$0.isCompacted }.compactMap { range in
      found[range.source].map { verdict in
        (
          store.partitions[range.source]!.id,
          ValidatedRange(
            sourceRange: range.sourceRange, records: verdict.records, digest: verdict.digest)
        )
      }
    }
    try context.ledger.journal.recordValidated(proved, lease: context.ledger.lease)
    evidence.notes += try await compareRekeyed()
    return evidence
  }

  /// Compares what the reverse mirror carried back.
  func sealReverse() async throws -> Evidence {
    try await checkStillFenced(.target, since: .fenceTarget)
    try await checkNoForeignTail(.reverse)
    let store = try JournalMapStore(context.ledger)
    let bases = armed(.reverse)?.bases ?? [:]
    let maps = try store.maps(of: context.ordinaryPartitions)
    var ranges: [ComparisonRange] = []
    for topic in context.topics where topic.rekey == nil {
      for partition in topic.partitions {
        guard let map = maps[partition], let base = bases[partition],
          let end = map.end(on: .source), end > base,
          let from = map.translate(base, from: .source), let to = map.end(on: .target)
        else { continue }
        ranges.append(
          ComparisonRange(
            source: partition, target: topic.target(of: partition), sourceRange: base..<end,
            targetRange: from..<to, map: map, isCompacted: topic.isCompacted,
            passedOver: context.strays(in: map, partition)))
      }
    }
    var evidence = try await compare(ranges, ReadBudget()).evidence
    evidence.notes += try await compareRekeyed()
    return evidence
  }

  private func compare(
    _ ranges: [ComparisonRange], _ budget: ReadBudget, isPreparation: Bool = false
  ) async throws -> (evidence: Evidence, verdicts: [Verdict]) {
    let start = ContinuousClock.now
    var verdicts: [Verdict] = []
    let ready = context.kit.withLock { $0?.comparators } ?? []
    let count = Self.comparators
    try await withThrowingTaskGroup(of: [Verdict].self) { tasks in
      for share in 0..<count {
        let mine = ranges.indices.filter { $0 % count == share }.map { ranges[$0] }
        guard !mine.isEmpty else { continue }
        tasks.addTask {
          let comparator =
            try ready.isEmpty
            ? Comparator(source: context.clusters.source, target: context.clusters.target)
            : ready[share]
          var verdicts: [Verdict] = []
          for batch in Comparator.batches(of: mine) {
            verdicts += try await context.steadily {
              try await comparator.compare(batch: batch, budget: budget)
            }
          }
          return verdicts
        }
      }
      for try await some in tasks { verdicts += some }
    }
    if !isPreparation { await context.during("compared") }
    let different = verdicts.filter { !$0.isEqual }
    guard different.isEmpty else { throw EngineError.differences(different) }
    let records = verdicts.reduce(0) { $0 + $1.records }
    var evidence = Evidence()
    evidence.notes = [
      "\(records) records in \(ranges.count) partitions are equal on both sides, compared in \(ContinuousClock.now - start)"
    ]
    return (evidence, verdicts)
  }
}
