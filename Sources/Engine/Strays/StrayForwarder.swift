internal import Cutover
internal import Foundation
internal import Journal
internal import Kafka
internal import KafkaModel
internal import Logging
internal import Mirror

/// Copies strays to the target, bit for bit and behind what stands there, so that groups on the target read
/// each once. What was copied is like any record born on the target from then on.
///
/// The reverse mirror must not run on the partitions concerned: one that had not stopped at the strays would carry
/// a copy back behind them and then take the stray for its own work. One that has, or is started anew, looks first.
struct StrayForwarder {
  let stage: String
  let clusters: Clusters
  let ledger: Ledger
  let logger: Logger

  /// Strays of a partition that are copied at once, at most: their digests are held in memory.
  private static let batch: Int64 = 10_000
  /// Whole records that are held in memory.
  private static let slice = 500
  /// How long a killed engine's last requests may be under way. The target's ends never stand still for
  /// longer, as they do where the mirrors wait for that: live producers write there.
  private static let underWay = Duration.seconds(1)

  /// Notes what is about to be copied.
  ///
  /// - Parameter strays: what stands on the source and the journal does not know.
  /// Returns: `nil` where none of it is a stray that can be read and nobody has decided about; and those in
  ///   which all is the mirror's own, or decided about.
  /// Throws: `KafkaError`, `JournalError`.
  func intend(
    _ strays: [StrayWrite], order: Order? = nil, command: Int64? = nil
  ) async throws -> (forwarding: StrayForwarding?, own: [StrayWrite]) {
    let store = try JournalMapStore(ledger)
    let reconciler = try reconciler(store)
    // Readers do not get further: what an open transaction holds back comes with a later batch.
    let readable = try await clusters.sourceAdmin.offsets(.end, of: strays.map(\.partition))
    let targets = strays.compactMap { store.partitions[$0.partition]?.target }
    let ends = try await clusters.targetLogs.offsets(.end, of: targets)
    var parts: [StrayForwarding.Part] = []
    var own: [StrayWrite] = []
    for stray in strays {
      let partition = stray.partition
      let end = min(stray.range.upperBound, readable[partition] ?? stray.from)
      guard let target = store.partitions[partition]?.target, let targetEnd = ends[target],
        stray.from < end
      else { continue }
      let decided = Stretches(ranges: ledger.leftStrays(of: partition))
      let foreign = try await reconciler.foreign(in: stray.from..<end, of: partition)
        .flatMap(decided.rest)
      let (ranges, isAll) = Self.first(Self.batch, of: foreign)
      guard let last = ranges.last else {
        if end == stray.range.upperBound { own.append(stray) }
        continue
      }
      parts.append(
        StrayForwarding.Part(
          stray: StrayWrite(partition, stray.from..<(isAll ? end : last.upperBound)),
          ranges: ranges, targetEnd: targetEnd))
    }
    guard !parts.isEmpty else { return (nil, own) }
    let forwarding = StrayForwarding(
      parts: parts, attempt: ledger.machine(of: stage).attempt, order: order, command: command)
    try ledger.record(.forwarding, stage: stage, forwarding)
    await Failpoint.pass("strays:intended", stage: stage)
    return (forwarding, own)
  }

  /// Copies what was intended and notes the outcome.
  ///
  /// - Parameters:
  ///   - isFresh: nothing of it can have been copied yet.
  ///   - command: gets the answer; one that does not ask for copies has what was not copied yet stay on the
  ///     source alone.
  /// Returns: the outcome.
  /// Throws: `KafkaError` - it is as it was, and to be done again; `JournalError`.
  func finish(
    _ forwarding: StrayForwarding, isFresh: Bool, for command: OperatorCommand? = nil
  ) async throws -> [StrayDecision] {
    let store = try JournalMapStore(ledger)
    if !isFresh { try await Task.sleep(for: Self.underWay) }
    let leaver = command.flatMap { StrayDesk.isToForward($0) ? nil : $0 }
    let writer = leaver == nil ? try await writer(forwarding, store) : nil
    let reader = try PartitionReader(clusters.source)
    var copied: [(part: StrayForwarding.Part, copies: [OffsetSegment])] = []
    for part in forwarding.parts {
      guard let target = store.partitions[part.stray.partition]?.target else { continue }
      var copies = isFresh ? [] : try await arrived(part, on: target, reader)
      if let writer {
        let from = copies.last?.sourceEnd ?? part.stray.from
        for range in part.ranges where range.upperBound > from {
          try await copy(
            max(from, range.lowerBound)..<range.upperBound, of: part.stray.partition, to: target,
            reader, writer, &copies)
        }
      }
      await Failpoint.pass("strays:copied", stage: stage)
      copied.append((part, copies))
    }
    let decisions = Self.outcome(of: forwarding, copied, leaving: leaver)
    let summary = decisions.map(\.summary).joined(separator: "; ")
    let answered = command?.id ?? forwarding.command
    let isOpen = try answered.map { try ledger.journal.command($0)?.outcome == nil } ?? false
    try ledger.record(
      .stray, stage: stage, all: decisions,
      answer: isOpen
        ? (answered!, CommandOutcome(accepted: true, message: summary)) : nil)
    await Failpoint.pass("strays:noted", stage: stage)
    logger.notice("strays: \(summary)")
    return decisions
  }

  /// What is decided with that: where nothing more is copied, the rest stays on the source alone.
  private static func outcome(
    of forwarding: StrayForwarding,
    _ copied: [(part: StrayForwarding.Part, copies: [OffsetSegment])],
    leaving command: OperatorCommand?
  ) -> [StrayDecision] {
    var forwarded: [StrayWrite] = []
    var left: [StrayWrite] = []
    for (part, copies) in copied {
      let range = part.stray.range
      let end = command == nil ? range.upperBound : copies.last?.sourceEnd ?? range.lowerBound
      if end > range.lowerBound {
        forwarded.append(StrayWrite(part.stray.partition, range.lowerBound..<end))
      }
      if end < range.upperBound {
        left.append(StrayWrite(part.stray.partition, end..<range.upperBound))
      }
    }
    let known = copied.filter { !$0.copies.isEmpty }.map {
      ForwardedStrays(partition: $0.part.stray.partition, copies: $0.copies)
    }
    var decisions: [StrayDecision] = []
    if !forwarded.isEmpty {
      decisions.append(
        StrayDecision(
          strays: forwarded, attempt: forwarding.attempt, order: forwarding.order,
          forwarded: known.isEmpty ? nil : known))
    }
    if !left.isEmpty, let command {
      decisions.append(
        StrayDecision(strays: left, attempt: forwarding.attempt, order: Order(command)))
    }
    return decisions
  }

  private func reconciler(_ store: JournalMapStore) throws -> Reconciler {
    try Reconciler(
      direction: .reverse, origin: clusters.target, destination: clusters.source, store: store)
  }

  private func writer(
    _ forwarding: StrayForwarding, _ store: JournalMapStore
  ) async throws -> RecordWriter {
    let topics = forwarding.parts.compactMap { store.partitions[$0.stray.partition]?.target.topic }
    return try RecordWriter(
      clusters.target,
      properties: try await DestinationSizes(of: Set(topics), clusters.targetAdmin)
        .producerProperties)
  }

  /// The copies that stand on the target already.
  private func arrived(
    _ part: StrayForwarding.Part, on target: TopicPartition, _ source: PartitionReader
  ) async throws -> [OffsetSegment] {
    guard let end = try await clusters.targetLogs.offsets(.end, of: [target])[target],
      end > part.targetEnd
    else { return [] }
    // A transaction of somebody else's would hide what stands behind its first record.
    let deadline = ContinuousClock.now + .seconds(30)
    while try await clusters.targetAdmin.offsets(.end, of: [target])[target] ?? end < end {
      guard ContinuousClock.now < deadline else {
        throw KafkaError.timedOut("wait for an open transaction in \(target)", cluster: "target")
      }
      try await Task.sleep(for: .milliseconds(200))
    }
    let found = try await PartitionReader(clusters.target).digests(
      of: target, from: part.targetEnd, before: end)
    var strays: [PartitionReader.Digested] = []
    for range in part.ranges {
      strays += try await source.digests(
        of: part.stray.partition, from: range.lowerBound, before: range.upperBound)
    }
    return StrayForwarding.copies(of: strays, in: found)
  }

  private func copy(
    _ range: Range<Offset>, of partition: TopicPartition, to target: TopicPartition,
    _ reader: PartitionReader, _ writer: RecordWriter, _ copies: inout [OffsetSegment]
  ) async throws {
    var next = range.lowerBound
    while next < range.upperBound {
      let some = try await reader.records(
        of: partition, from: next, limit: Self.slice, before: range.upperBound)
      guard let last = some.last else { return }
      let places = try await writer.write(some.map(\.record), to: target)
      for (stray, place) in zip(some, places) {
        copies.add(OffsetSegment(sourceStart: stray.offset, targetStart: place, count: 1))
      }
      next = last.offset + 1
    }
  }

  /// The first `count` offsets of some ranges, and whether those are all.
  static func first(
    _ count: Int64, of ranges: [Range<Offset>]
  ) -> (ranges: [Range<Offset>], isAll: Bool) {
    var taken: [Range<Offset>] = []
    var left = count
    for range in ranges {
      let length = range.upperBound - range.lowerBound
      guard left >= length else {
        if left > 0 { taken.append(range.lowerBound..<(range.lowerBound + left)) }
        return (taken, false)
      }
      taken.append(range)
      left -= length
    }
    return (taken, true)
  }
}
