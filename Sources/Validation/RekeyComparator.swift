package import Kafka
package import KafkaModel

/// Compares a rekeyed topic's sides, round by round: what the origin holds between two cuts says, in order,
/// what has to stand in each partition of the other side between them.
package struct RekeyComparator: Sendable {
  private let readers: [ClusterRole: PartitionReader]
  private let admins: [ClusterRole: Admin]

  /// Throws: ``KafkaError`` - a property is wrong.
  package init(source: ClusterConnection, target: ClusterConnection) throws(KafkaError) {
    readers = [.source: try PartitionReader(source), .target: try PartitionReader(target)]
    admins = [.source: try Admin(source), .target: try Admin(target)]
  }

  /// What comparing found.
  package struct Outcome: Sendable {
    /// Records that were compared.
    package fileprivate(set) var records: Int64 = 0
    /// Records of which one side has dropped some since: these rounds are beyond proof.
    package fileprivate(set) var dropped: Int64 = 0
    /// Only those that found differences.
    package fileprivate(set) var verdicts: [Verdict] = []
  }

  /// A round, and its topic's names.
  private struct Round {
    let names: [ClusterRole: String]
    let start: RekeyCut
    let end: RekeyCut
    let direction: Direction

    func range(_ partition: Int, on role: ClusterRole) -> Range<Offset> {
      start.ends(on: role)[partition]..<end.ends(on: role)[partition]
    }

    func partition(_ number: Int, on role: ClusterRole) -> TopicPartition {
      TopicPartition(names[role]!, Int32(number))
    }
  }

  private struct Item {
    let partition: Int
    let record: PartitionReader.Digested
  }

  /// Compares the rounds between `cuts`, all of which are to follow each other; others are passed over.
  ///
  /// - Parameter topic: its name on each cluster.
  /// Throws: ``KafkaError`` - a side cannot be read; `CancellationError`.
  package func compare(
    _ topic: [ClusterRole: String], _ cuts: [RekeyCut],
    onProgress: @Sendable (Int64) -> Void = { _ in }
  ) async throws -> Outcome {
    var outcome = Outcome()
    guard let first = cuts.first else { return outcome }
    var starts: [ClusterRole: [Offset]] = [:]
    for role in ClusterRole.allCases {
      let names = first.ends(on: role).indices.map { TopicPartition(topic[role]!, Int32($0)) }
      let found = try await admins[role]!.offsets(.start, of: names)
      starts[role] = names.map { found[$0] ?? Offset(0) }
    }
    for (start, end) in zip(cuts, cuts.dropFirst())
    where end.number == start.number + 1 && end.kind != .base {
      try Task.checkCancellation()
      let isKept = ClusterRole.allCases.allSatisfy { starts[$0]!.isWithin(start.ends(on: $0)) }
      guard isKept else {
        outcome.dropped += end.records
        continue
      }
      let round = Round(
        names: topic, start: start, end: end,
        direction: end.kind == .forward ? .forward : .reverse)
      outcome.verdicts += try await compare(round)
      outcome.records += end.records
      onProgress(end.records)
    }
    return outcome
  }

  private func compare(_ round: Round) async throws -> [Verdict] {
    let (origin, destination) = (round.direction.origin, round.direction.destination)
    let count = round.end.ends(on: destination).count
    var wanted = RekeyRound<Item>(partitions: count)
    for number in round.end.ends(on: origin).indices {
      let range = round.range(number, on: origin)
      guard !range.isEmpty else { continue }
      let read = try await readers[origin]!.keyed(
        of: round.partition(number, on: origin), from: range.lowerBound, before: range.upperBound)
      for record in read {
        let place = Murmur2.partition(
          of: record.key, from: Int32(number), count: Int32(count))
        wanted.add(Item(partition: number, record: record.record), to: place)
      }
    }
    var verdicts: [Verdict] = []
    for number in 0..<count {
      let range = round.range(number, on: destination)
      let found = try await readers[destination]!.digests(
        of: round.partition(number, on: destination), from: range.lowerBound,
        before: range.upperBound)
      let items = wanted.items[number]
      guard items.map(\.record.digest) != found.map(\.digest) else { continue }
      verdicts += differences(items, found, number, round)
    }
    return verdicts
  }

  /// By partition of the origin; what is too much stands under the partition's own number.
  private func differences(
    _ items: [Item], _ found: [PartitionReader.Digested], _ number: Int, _ round: Round
  ) -> [Verdict] {
    let isForward = round.direction == .forward
    var verdicts: [Int: Verdict] = [:]
    func add(_ difference: Difference, _ partition: Int) {
      let key = TopicPartition(round.names[.source]!, Int32(isForward ? partition : number))
      let target = TopicPartition(round.names[.target]!, Int32(isForward ? number : partition))
      verdicts[partition, default: Verdict(source: key, target: target)].add(difference)
    }
    var left: [RecordDigest: [(place: Int, offset: Offset)]] = [:]
    for (place, record) in found.enumerated().reversed() {
      left[record.digest, default: []].append((place, record.offset))
    }
    for (place, item) in items.enumerated() {
      let here = item.record.offset
      if let twin = left[item.record.digest]?.popLast() {
        guard twin.place != place, items.count == found.count else { continue }
        add(
          .reordered(
            source: isForward ? here : twin.offset, target: isForward ? twin.offset : here),
          item.partition)
      } else {
        add(isForward ? .missing(source: here) : .extra(target: here), item.partition)
      }
    }
    for twin in left.values.joined() {
      add(isForward ? .extra(target: twin.offset) : .missing(source: twin.offset), number)
    }
    if verdicts.isEmpty, let item = items.first {
      // The same records, but in another order.
      add(.reordered(source: item.record.offset, target: found[0].offset), item.partition)
    }
    return verdicts.sorted { $0.key < $1.key }.map(\.value)
  }
}
