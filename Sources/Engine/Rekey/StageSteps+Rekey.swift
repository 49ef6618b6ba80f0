internal import Foundation
internal import Journal
internal import Kafka
internal import KafkaModel
internal import Mirror
internal import Validation

/// What the steps do differently for topics that are rekeyed.
extension StageSteps {
  /// Notes where both logs stand before the forward mirror writes for the first time in this attempt. The
  /// target has to be empty where Ferry never wrote to it.
  ///
  /// - Parameters:
  ///   - starts: where the copy of a new topic begins.
  ///   - bases: where the target's logs end.
  func armForward(
    _ topic: RekeyTopic, starts: [TopicPartition: Offset], bases: [TopicPartition: Offset]
  ) async throws {
    let ends = topic.keys(on: .target).map { bases[$0]! }
    guard let last = try context.ledger.journal.lastRekeyCut(of: topic.source) else {
      for (name, end) in zip(topic.partitions(on: .target), ends) where end > Offset(0) {
        throw EngineError.targetNotEmpty(name, end: end)
      }
      return try arm(topic, at: topic.keys(on: .source).map { starts[$0]! }, ends, number: 0)
    }
    // What the mirror of an earlier attempt left goes on where it was. After a way back clients have worked
    // on the target: all that they wrote was carried back, and markers of their transactions are passed over.
    guard last.target != ends,
      try await isPassedOver(topic, .target, from: last.target, to: ends)
    else { return }
    try arm(topic, at: last.source, ends, number: last.number + 1)
  }

  /// Notes where both logs stand before the reverse mirror writes for the first time in this attempt.
  ///
  /// - Parameter bases: where the source's logs end, under the fence.
  /// Throws: `EngineError` - the forward mirror has not carried all of it.
  func armReverse(_ topic: RekeyTopic, bases: [TopicPartition: Offset]) async throws {
    guard let last = try context.ledger.journal.lastRekeyCut(of: topic.source) else { return }
    let ends = topic.keys(on: .source).map { bases[$0]! }
    guard try await isPassedOver(topic, .source, from: last.source, to: ends) else {
      let index = ends.indices.first { ends[$0] != last.source[$0] } ?? 0
      throw EngineError.strayWrite(
        topic.partitions(on: .source)[index], from: last.source[index], to: ends[index])
    }
    try arm(topic, at: ends, last.target, number: last.number + 1)
  }

  private func arm(
    _ topic: RekeyTopic, at source: [Offset], _ target: [Offset], number: Int64
  ) throws {
    if let last = try context.ledger.journal.lastRekeyCut(of: topic.source),
      last.source == source, last.target == target, last.kind == .base
    {
      return
    }
    try context.ledger.journal.appendRekeyCut(
      RekeyCut(number: number, kind: .base, source: source, target: target, records: 0),
      of: topic.source, lease: context.ledger.lease)
  }

  /// Whether no round is under way and no record that could be read stands between two vectors.
  private func isPassedOver(
    _ topic: RekeyTopic, _ role: ClusterRole, from starts: [Offset], to ends: [Offset]
  ) async throws -> Bool {
    guard try context.ledger.journal.rekeyIntent(of: topic.source) == nil,
      starts.isWithin(ends)
    else { return false }
    let reader = try PartitionReader(
      role == .source ? context.clusters.source : context.clusters.target)
    for (index, name) in topic.partitions(on: role).enumerated() where starts[index] < ends[index] {
      let found = try await reader.digests(
        of: name, from: starts[index], limit: 1, before: ends[index])
      guard found.isEmpty else { return false }
    }
    return true
  }

  /// Behind the last cut nothing may stand on the destination.
  ///
  /// - Parameter ends: of the destination's logs.
  func checkNoForeignTail(
    _ topic: RekeyTopic, _ direction: Direction, ends: [TopicPartition: Offset]
  ) throws {
    guard let cut = try context.ledger.journal.lastRekeyCut(of: topic.source) else { return }
    let role = direction.destination
    for (index, key) in topic.keys(on: role).enumerated() {
      let expected = cut.ends(on: role)[index]
      guard let end = ends[key], end != expected else { continue }
      let name = topic.partitions(on: role)[index]
      throw EngineError.partitionStopped(
        end > expected
          ? .foreignWrite(destination: name, at: expected)
          : .destinationTruncated(destination: name, end: end, expected: expected))
    }
  }

  /// Compares the rounds that were not compared before, whichever way their records went.
  ///
  /// Returns: notes for people.
  /// Throws: ``EngineError/differences(_:)``.
  func compareRekeyed() async throws -> [String] {
    var notes: [String] = []
    for topic in context.rekeyedTopics {
      let journal = context.ledger.journal
      let proved = try journal.rekeyValidated(of: topic.source) ?? 0
      let cuts = try journal.rekeyCuts(of: topic.source).filter { $0.number >= proved }
      guard cuts.count > 1, let last = cuts.last else { continue }
      let start = ContinuousClock.now
      let comparator = try RekeyComparator(
        source: context.clusters.source, target: context.clusters.target)
      let outcome = try await context.steadily {
        try await comparator.compare([.source: topic.source, .target: topic.target], cuts)
      }
      guard outcome.verdicts.isEmpty else { throw EngineError.differences(outcome.verdicts) }
      try journal.recordRekeyValidated(
        of: topic.source, upTo: last.number, lease: context.ledger.lease)
      notes.append(
        "\(outcome.records) records of rekeyed topic \(topic.source) stand where their keys put them, compared in \(ContinuousClock.now - start)"
      )
      if outcome.dropped > 0 {
        notes.append(
          "SKIPPED: up to \(outcome.dropped) records of \(topic.source) were dropped before they were compared"
        )
      }
    }
    return notes
  }
}
