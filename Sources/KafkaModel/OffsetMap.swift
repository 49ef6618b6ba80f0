/// A run of mirrored records whose offsets differ by a constant: `count` records at
/// `sourceStart ..< sourceStart + count` stand at `targetStart ..< targetStart + count`.
package struct OffsetSegment: Hashable, Sendable, Codable {
  package var sourceStart: Offset
  package var targetStart: Offset
  package var count: Int64

  package init(sourceStart: Offset, targetStart: Offset, count: Int64) {
    self.sourceStart = sourceStart
    self.targetStart = targetStart
    self.count = count
  }

  /// A run of records as a mirror sees it.
  package init(origin: Offset, destination: Offset, count: Int64, _ direction: Direction) {
    let isForward = direction == .forward
    sourceStart = isForward ? origin : destination
    targetStart = isForward ? destination : origin
    self.count = count
  }

  package var sourceEnd: Offset { sourceStart + count }
  package var targetEnd: Offset { targetStart + count }

  /// The segment's first offset on `role`'s log.
  package func start(on role: ClusterRole) -> Offset {
    role == .source ? sourceStart : targetStart
  }

  /// The offset after the segment's last one on `role`'s log.
  package func end(on role: ClusterRole) -> Offset { role == .source ? sourceEnd : targetEnd }
}

/// Which record of a source partition stands where in its target partition: every mirrored record, in
/// either direction of copying, as maximal runs.
///
/// Invariant: segments ascend strictly on both sides, so the map is monotone, each lookup is exact and
/// its inverse exists. Both mirrors only append pairs at the ends of both logs, which keeps it so.
package struct OffsetMap: Sendable, Equatable {
  /// Ascending on both sides; no two neighbours could be one segment.
  package private(set) var segments: [OffsetSegment]

  package init() { segments = [] }

  /// Appending was refused: the pair does not lie behind the map's end on both logs, or is none.
  package struct NotMonotone: Error, Equatable {
    package let source: Offset
    package let target: Offset
  }

  /// The map's end on `role`'s log: the offset after the last mirrored record there; `nil` while the
  /// map is empty.
  package func end(on role: ClusterRole) -> Offset? { segments.last?.end(on: role) }

  /// The number of mirrored records.
  package var recordCount: Int64 { segments.reduce(0) { $0 + $1.count } }

  /// Adds one mirrored record, or a run of `count` of them.
  ///
  /// Throws: ``NotMonotone`` - when the pair lies before the map's end on either log, or `count` is
  /// less than one.
  package mutating func append(
    source: Offset, target: Offset, count: Int64 = 1
  ) throws(NotMonotone) {
    guard count > 0 else { throw NotMonotone(source: source, target: target) }
    if let last = segments.last, source < last.sourceEnd || target < last.targetEnd {
      throw NotMonotone(source: source, target: target)
    }
    segments.add(OffsetSegment(sourceStart: source, targetStart: target, count: count))
  }

  /// Adds a segment, as ``append(source:target:count:)``.
  package mutating func append(_ segment: OffsetSegment) throws(NotMonotone) {
    try append(
      source: segment.sourceStart, target: segment.targetStart, count: segment.count)
  }

  /// Forgets every pair at or behind `end` on `role`'s log: that log lost its tail.
  package mutating func truncate(to end: Offset, on role: ClusterRole) {
    while let last = segments.last, last.end(on: role) > end {
      if last.start(on: role) >= end {
        segments.removeLast()
      } else {
        segments[segments.count - 1].count = end - last.start(on: role)
      }
    }
  }

  /// Where the first mirrored record at or after `offset` of `origin`'s log stands on the other log;
  /// `nil` where no such record has been mirrored yet.
  package func translate(_ offset: Offset, from origin: ClusterRole) -> Offset? {
    let index = firstSegment(endingAfter: offset, on: origin)
    guard index < segments.count else { return nil }
    let segment = segments[index]
    let distance = max(0, offset - segment.start(on: origin))
    return segment.start(on: origin.opposite) + distance
  }

  /// Whether the record at `offset` of `origin`'s log has been mirrored.
  package func contains(_ offset: Offset, on origin: ClusterRole) -> Bool {
    let index = firstSegment(endingAfter: offset, on: origin)
    return index < segments.count && segments[index].start(on: origin) <= offset
  }

  /// The pairs whose offset on `role`'s log lies in `range`, in order.
  package func pairs(in range: Range<Offset>, on role: ClusterRole) -> [OffsetSegment] {
    guard !range.isEmpty else { return [] }
    var found: [OffsetSegment] = []
    var index = firstSegment(endingAfter: range.lowerBound, on: role)
    while index < segments.count, segments[index].start(on: role) < range.upperBound {
      let segment = segments[index]
      let skipped = max(0, range.lowerBound - segment.start(on: role))
      let cut = max(0, segment.end(on: role) - range.upperBound)
      found.append(
        OffsetSegment(
          sourceStart: segment.sourceStart + skipped, targetStart: segment.targetStart + skipped,
          count: segment.count - skipped - cut))
      index += 1
    }
    return found
  }

  /// The stretches of `range` on `role`'s log at which no mirrored record stands, in order.
  package func gaps(in range: Range<Offset>, on role: ClusterRole) -> [Range<Offset>] {
    var gaps: [Range<Offset>] = []
    var next = range.lowerBound
    for pair in pairs(in: range, on: role) {
      if pair.start(on: role) > next { gaps.append(next..<pair.start(on: role)) }
      next = pair.end(on: role)
    }
    if next < range.upperBound { gaps.append(next..<range.upperBound) }
    return gaps
  }

  /// Binary search: the index of the first segment whose end on `role`'s log lies after `offset`.
  private func firstSegment(endingAfter offset: Offset, on role: ClusterRole) -> Int {
    var low = 0
    var high = segments.count
    while low < high {
      let middle = (low + high) / 2
      if segments[middle].end(on: role) > offset { high = middle } else { low = middle + 1 }
    }
    return low
  }
}

extension [OffsetSegment] {
  /// Adds a run to the last one, if it follows it on both logs, or behind it.
  package mutating func add(_ segment: OffsetSegment) {
    if let last, last.sourceEnd == segment.sourceStart, last.targetEnd == segment.targetStart {
      self[count - 1].count += segment.count
    } else {
      append(segment)
    }
  }
}
