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

  /// Rounds that follow each other and went the same way: they are read together.
  private struct Span {
    let names: [ClusterRole: String]
    var cuts: [RekeyCut]
    let direction: Direction
    var records: Int64 = 0

    func range(_ partition: Int, on role: ClusterRole) -> Range<Offset> {
      cuts[0].ends(on: role)[partition]..<cuts[cuts.count - 1].ends(on: role)[partition]
    }

    func partition(_ number: Int, on role: ClusterRole) -> TopicPartition {
      TopicPartition(names[role]!, Int32(number))
    }

    func count(on role: ClusterRole) -> Int { cuts[0].ends(on: role).count }
  }

  /// A record of the origin, and where it has to stand.
  private struct Item {
    let partition: Int
    let offset: Offset
    let wanted: PartitionReader.Digested
  }

  /// Records that are read together, at most, beyond one round.
  private static let together: Int64 = 20_000

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
    for span in spans(topic, cuts, starts, &outcome) {
      try Task.checkCancellation()
      outcome.verdicts += try await compare(span)
      outcome.records += span.records
      onProgress(span.records)
    }
    return outcome
  }

  private func spans(
    _ topic: [ClusterRole: String], _ cuts: [RekeyCut], _ starts: [ClusterRole: [Offset]],
    _ outcome: inout Outcome
  ) -> [Span] {
    var spans: [Span] = []
    for (start, end) in zip(cuts, cuts.dropFirst())
    where end.number == start.number + 1 && end.kind != .base {
      guard ClusterRole.allCases.allSatisfy({ starts[$0]!.isWithin(start.ends(on: $0)) }) else {
        outcome.dropped += end.records
        continue
      }
      let direction: Direction = end.kind == .forward ? .forward : .reverse
      if let last = spans.last, last.cuts.last == start, last.direction == direction,
        last.records + end.records <= Self.together
      {
        spans[spans.count - 1].cuts.append(end)
      } else {
        spans.append(Span(names: topic, cuts: [start, end], direction: direction))
      }
      spans[spans.count - 1].records += end.records
    }
    return spans
  }

  private func compare(_ span: Span) async throws -> [Verdict] {
    let destination = span.direction.destination
    let items = try await wanted(span)
    var verdicts: [Verdict] = []
    for number in 0..<span.count(on: destination) {
      let range = span.range(number, on: destination)
      let found = try await readers[destination]!.digests(
        of: span.partition(number, on: destination), from: range.lowerBound,
        before: range.upperBound)
      guard items[number].map(\.wanted) != found else { continue }
      verdicts += differences(items[number], found, number, span)
    }
    return verdicts
  }

  /// What has to stand in each partition of the destination.
  private func wanted(_ span: Span) async throws -> [[Item]] {
    let (origin, destination) = (span.direction.origin, span.direction.destination)
    let count = span.count(on: destination)
    var read: [ArraySlice<PartitionReader.Keyed>] = []
    for number in 0..<span.count(on: origin) {
      let range = span.range(number, on: origin)
      let found = try await readers[origin]!.keyed(
        of: span.partition(number, on: origin), from: range.lowerBound, before: range.upperBound)
      read.append(found[...])
    }
    var items: [[Item]] = Array(repeating: [], count: count)
    for (start, end) in zip(span.cuts, span.cuts.dropFirst()) {
      var next = start.ends(on: destination)
      for number in read.indices {
        while let record = read[number].first, record.record.offset < end.ends(on: origin)[number] {
          read[number].removeFirst()
          let place = Int(
            Murmur2.partition(of: record.key, from: Int32(number), count: Int32(count)))
          items[place].append(
            Item(
              partition: number, offset: record.record.offset,
              wanted: PartitionReader.Digested(
                offset: next[place], digest: record.record.digest)))
          next[place] = next[place] + 1
        }
      }
    }
    return items
  }

  /// By partition of the origin; what is too much stands under the partition's own number.
  private func differences(
    _ items: [Item], _ found: [PartitionReader.Digested], _ number: Int, _ span: Span
  ) -> [Verdict] {
    let isForward = span.direction == .forward
    var verdicts: [Int: Verdict] = [:]
    func add(_ difference: Difference, _ partition: Int) {
      let source = span.partition(isForward ? partition : number, on: .source)
      let target = span.partition(isForward ? number : partition, on: .target)
      verdicts[partition, default: Verdict(source: source, target: target)].add(difference)
    }
    var left: [RecordDigest: [Offset]] = [:]
    for record in found.reversed() { left[record.digest, default: []].append(record.offset) }
    var pairs: [(item: Item, twin: Offset)] = []
    for item in items {
      if let twin = left[item.wanted.digest]?.popLast() {
        pairs.append((item, twin))
      } else {
        add(
          isForward ? .missing(source: item.offset) : .extra(target: item.offset), item.partition)
      }
    }
    // What is missing or too much moves all that comes behind it, which therefore is not out of order.
    let inOrder = Self.longestAscent(pairs.map(\.twin))
    for (index, (item, twin)) in pairs.enumerated() where !inOrder.contains(index) {
      add(
        .reordered(
          source: isForward ? item.offset : twin, target: isForward ? twin : item.offset),
        item.partition)
    }
    for twin in left.values.joined() {
      add(isForward ? .extra(target: twin) : .missing(source: twin), number)
    }
    return verdicts.sorted { $0.key < $1.key }.map(\.value)
  }

  /// The indexes of as many of `offsets` as possible that ascend. No two are equal.
  private static func longestAscent(_ offsets: [Offset]) -> Set<Int> {
    // At n stands the index of the least offset that n others can ascend to, and before each index the one
    // that it ascended from.
    var tops: [Int] = []
    var before: [Int?] = []
    for (index, offset) in offsets.enumerated() {
      var (low, high) = (0, tops.count)
      while low < high {
        let middle = (low + high) / 2
        if offsets[tops[middle]] < offset { low = middle + 1 } else { high = middle }
      }
      before.append(low > 0 ? tops[low - 1] : nil)
      if low == tops.count { tops.append(index) } else { tops[low] = index }
    }
    var found: Set<Int> = []
    var next = tops.last
    while let index = next {
      found.insert(index)
      next = before[index]
    }
    return found
  }
}
