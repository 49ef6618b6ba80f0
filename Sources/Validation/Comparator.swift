package import Kafka
internal import KafkaModel

/// How fast comparisons may read, from each cluster; those that share it share the budget.
package struct ReadBudget: Sendable {
  let source: Throttle
  let target: Throttle

  /// - Parameter bytesPerSecond: from each cluster; `nil` is no limit.
  package init(bytesPerSecond: Int64? = nil) {
    source = Throttle(bytesPerSecond: bytesPerSecond)
    target = Throttle(bytesPerSecond: bytesPerSecond)
  }
}

/// Reads both sides independently and pairs their records. One range at a time, on a thread of its own.
package actor Comparator {
  nonisolated let executor: PinnedExecutor
  package nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  private let source: Consumer
  private let target: Consumer
  private let hasher = RecordHasher()
  private let budget: ReadBudget

  /// Throws: ``KafkaError`` - a property is wrong.
  package init(
    source: ClusterConnection, target: ClusterConnection, budget: ReadBudget = ReadBudget()
  ) throws(KafkaError) {
    self.budget = budget
    executor = PinnedExecutor(name: "validate")
    self.source = try Consumer(source, properties: Consumer.stretches)
    self.target = try Consumer(target, properties: Consumer.stretches)
  }

  /// Connects to both clusters ahead of comparing.
  ///
  /// - Parameters: topics, as each cluster names them.
  /// Throws: ``KafkaError`` - a cluster does not answer.
  package func prepare(
    source sourceTopics: Set<String>, target targetTopics: Set<String>
  ) throws(KafkaError) {
    try source.prepare(sourceTopics)
    try target.prepare(targetTopics)
  }

  isolated deinit {
    source.close()
    target.close()
  }

  /// Compares one range.
  ///
  /// - Parameters:
  ///   - other: a budget in place of its own.
  ///   - onProgress: told how many more source records were read.
  /// Throws: ``KafkaError`` - a side cannot be read; `CancellationError`.
  package func compare(
    _ range: ComparisonRange, budget other: ReadBudget? = nil,
    onProgress: @Sendable (Int64) -> Void = { _ in }
  ) async throws -> Verdict {
    let budget = other ?? budget
    let left = try RecordStream(source, range.source, range.sourceRange, hasher, budget.source)
    let right = try RecordStream(target, range.target, range.targetRange, hasher, budget.target)
    return try await compare(range, left, right, onProgress)
  }

  /// Compares ranges that ``batches(of:)`` put together.
  ///
  /// Returns: verdicts in the order of `ranges`.
  /// Throws: as ``compare(_:onProgress:)``.
  package func compare(
    batch ranges: [ComparisonRange], budget other: ReadBudget? = nil,
    onProgress: @Sendable (Int64) -> Void = { _ in }
  ) async throws -> [Verdict] {
    let budget = other ?? budget
    if ranges.count == 1 {
      return [try await compare(ranges[0], budget: budget, onProgress: onProgress)]
    }
    try Task.checkCancellation()
    let lefts = try RangeBatch(source, hasher, budget.source)
      .read(ranges.map { ($0.source, $0.sourceRange) })
    try Task.checkCancellation()
    let rights = try RangeBatch(target, hasher, budget.target)
      .read(ranges.map { ($0.target, $0.targetRange) })
    var verdicts: [Verdict] = []
    for (index, range) in ranges.enumerated() {
      let left = RecordStream(
        range.source, range.sourceRange, lefts[index], hasher, budget.source)
      let right = RecordStream(
        range.target, range.targetRange, rights[index], hasher, budget.target)
      verdicts.append(try await compare(range, left, right, onProgress))
    }
    return verdicts
  }

  /// Puts short ranges together, to be read at once; long ones stay alone. No partition is in one batch
  /// twice.
  package static func batches(of ranges: [ComparisonRange]) -> [[ComparisonRange]] {
    var batches: [[ComparisonRange]] = []
    var open: [ComparisonRange] = []
    var records: Int64 = 0
    func width(_ range: ComparisonRange) -> Int64 {
      max(
        range.sourceRange.upperBound - range.sourceRange.lowerBound,
        range.targetRange.upperBound - range.targetRange.lowerBound)
    }
    for range in ranges {
      let width = width(range)
      guard width <= 2000 else {
        batches.append([range])
        continue
      }
      if open.count == 500 || records + width > 100_000
        || open.contains(where: { $0.source == range.source || $0.target == range.target })
      {
        batches.append(open)
        open = []
        records = 0
      }
      open.append(range)
      records += width
    }
    if !open.isEmpty { batches.append(open) }
    return batches
  }

  private func compare(
    _ range: ComparisonRange, _ left: RecordStream, _ right: RecordStream,
    _ onProgress: @Sendable (Int64) -> Void
  ) async throws -> Verdict {
    defer {
      left.close()
      right.close()
    }
    var verdict = Verdict(source: range.source, target: range.target)
    if range.isCompacted {
      try compareLatest(left, right, range.passedOver, &verdict)
    } else {
      try await comparePairs(left, right, range, &verdict, onProgress)
    }
    return verdict
  }

  /// Walks both sides at once. A record without its counterpart is remembered, since one that turns up
  /// elsewhere was reordered rather than lost.
  private func comparePairs(
    _ left: RecordStream, _ right: RecordStream, _ range: ComparisonRange,
    _ verdict: inout Verdict, _ onProgress: @Sendable (Int64) -> Void
  ) async throws {
    let map = range.map
    var unpairedLeft: [RecordStream.Element] = []
    var unpairedRight: [RecordStream.Element] = []
    while let record = try left.peek() {
      left.advance()
      if range.passedOver.contains(where: { $0.contains(record.offset) }) { continue }
      verdict.records += 1
      verdict.digest = hasher.chain(verdict.digest, record.digest)
      if verdict.records % 4096 == 0 {
        onProgress(4096)
        try Task.checkCancellation()
      }
      if let map {
        guard map.contains(record.offset, on: .source),
          let expected = map.translate(record.offset, from: .source)
        else {
          unpairedLeft.append(record)
          continue
        }
        while let other = try right.peek(), other.offset < expected {
          unpairedRight.append(other)
          right.advance()
        }
        guard let other = try right.peek(), other.offset == expected else {
          unpairedLeft.append(record)
          continue
        }
        right.advance()
        if other != record {
          unpairedLeft.append(record)
          unpairedRight.append(other)
        }
      } else {
        // By order: skip what only one side has, as far as a window shows it.
        if let skipped = try right.distance(to: record, within: 1000) {
          for _ in 0..<skipped {
            if let other = try right.peek() { unpairedRight.append(other) }
            right.advance()
          }
          right.advance()
        } else {
          unpairedLeft.append(record)
        }
      }
    }
    while let other = try right.peek() {
      unpairedRight.append(other)
      right.advance()
    }
    onProgress(verdict.records % 4096)
    report(unpairedLeft, unpairedRight, map, &verdict)
  }

  private func report(
    _ left: [RecordStream.Element], _ right: [RecordStream.Element], _ map: OffsetMap?,
    _ verdict: inout Verdict
  ) {
    var strays: [RecordDigest: [RecordStream.Element]] = [:]
    for element in right.reversed() { strays[element.digest, default: []].append(element) }
    var matched: Set<Offset> = []
    var missing: [RecordStream.Element] = []
    for element in left {
      if let other = strays[element.digest]?.popLast() {
        matched.insert(other.offset)
        verdict.add(.reordered(source: element.offset, target: other.offset))
      } else {
        missing.append(element)
      }
    }
    var extra = Dictionary(
      uniqueKeysWithValues: right.filter { !matched.contains($0.offset) }.map { ($0.offset, $0) })
    for element in missing {
      if let expected = map?.translate(element.offset, from: .source),
        let other = extra.removeValue(forKey: expected)
      {
        verdict.add(
          .altered(
            source: element.offset, target: expected, fields: element.fieldsDiffering(from: other)))
      } else {
        verdict.add(.missing(source: element.offset))
      }
    }
    for offset in extra.keys.sorted() { verdict.add(.extra(target: offset)) }
  }

  private func compareLatest(
    _ left: RecordStream, _ right: RecordStream, _ passedOver: [Range<Offset>],
    _ verdict: inout Verdict
  ) throws {
    let ours = try latest(left, passedOver)
    let theirs = try latest(right)
    verdict.records = left.count
    for (key, element) in ours.sorted(by: { $0.value.offset < $1.value.offset }) {
      if let other = theirs[key] {
        if other != element {
          verdict.add(
            .altered(
              source: element.offset, target: other.offset,
              fields: element.fieldsDiffering(from: other)))
        }
      } else if !element.isTombstone {
        // A side may drop a tombstone before the other does (`delete.retention.ms`).
        verdict.add(.missing(source: element.offset))
      }
    }
    for (key, element) in theirs.sorted(by: { $0.value.offset < $1.value.offset })
    where ours[key] == nil && !element.isTombstone {
      verdict.add(.extra(target: element.offset))
    }
  }

  private func latest(
    _ stream: RecordStream, _ passedOver: [Range<Offset>] = []
  ) throws -> [RecordDigest: RecordStream.Element] {
    var found: [RecordDigest: RecordStream.Element] = [:]
    while let element = try stream.peek() {
      stream.advance()
      if passedOver.contains(where: { $0.contains(element.offset) }) { continue }
      found[element.parts.key] = element
    }
    return found
  }
}
