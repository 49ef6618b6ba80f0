package import Kafka
package import KafkaModel
internal import Logging

/// Finds out, after any stop, what the destination really holds, and brings the map up to it. Only then
/// may a mirror write.
///
/// The map's end says where the destination should end. Records behind it are ours if they equal, in
/// order, the origin's next ones; then the map is extended. If not, somebody else wrote.
package struct Reconciler: Sendable {
  private let direction: Direction
  private let origin: ClusterConnection
  private let destination: ClusterConnection
  private let originReader: PartitionReader
  private let destinationReader: PartitionReader
  private let originAdmin: Admin
  let destinationAdmin: Admin
  private let store: any MapStore

  /// What reconciliation found of one partition.
  package struct Outcome: Sendable {
    package let state: MirrorState
    /// Records on the destination that the map did not know yet.
    package let adopted: Int
    /// Records that the destination had lost and that will be copied again.
    package let lost: Int64
    package let fault: MirrorFault?
    /// Records that the origin still holds from the state's position on, at most.
    package let left: Int64
  }

  package init(
    direction: Direction, origin: ClusterConnection, destination: ClusterConnection,
    store: any MapStore
  ) throws(KafkaError) {
    self.direction = direction
    self.origin = origin
    self.destination = destination
    self.store = store
    originReader = try PartitionReader(origin)
    destinationReader = try PartitionReader(destination)
    originAdmin = try Admin(origin)
    destinationAdmin = try Admin(destination, readCommitted: false)
  }

  /// Connects to both clusters ahead of ``reconcile(_:stillness:isFresh:)``.
  ///
  /// Throws: ``KafkaError`` - a cluster does not answer, or does not know a partition.
  func prepare(_ states: [MirrorState]) async throws {
    let destinations = states.map { $0.partition(on: direction.destination) }
    let origins = states.map { $0.partition(on: direction.origin) }
    async let ends = destinationAdmin.offsets(.end, of: destinations)
    async let bounds = originAdmin.bounds(of: origins)
    _ = try await (ends, bounds)
  }

  /// Reconciles all partitions. The destination's ends have to stand still for `stillness` first: a
  /// killed predecessor's last requests may still be under way.
  ///
  /// - Parameter isFresh: nothing was ever written in this direction since somebody saw that the
  ///   destination stood still and that all the map knows was equal on both sides. Then no request can be
  ///   under way and no record need be read; where both logs end is looked at in any case.
  package func reconcile(
    _ sources: [TopicPartition], stillness: Duration, isFresh: Bool = false
  ) async throws -> [Outcome] {
    let states = try await store.states(of: sources, direction)
    let destinations = states.map { $0.partition(on: direction.destination) }
    let origins = states.map { $0.partition(on: direction.origin) }
    let (destinationEnds, originBounds): ([TopicPartition: Offset], [TopicPartition: LogBounds])
    if isFresh {
      async let ends = destinationAdmin.offsets(.end, of: destinations)
      async let bounds = originAdmin.bounds(of: origins)
      (destinationEnds, originBounds) = try await (ends, bounds)
    } else {
      destinationEnds = try await stillEnds(of: destinations, stillness)
      originBounds = try await originAdmin.bounds(of: origins)
    }
    let lastRecords = isFresh ? [:] : try await lastRecords(states, originBounds)
    var outcomes: [Outcome] = []
    for state in states {
      outcomes.append(
        try await reconcile(
          state, end: destinationEnds[state.partition(on: direction.destination)]!,
          bounds: originBounds[state.partition(on: direction.origin)]!,
          last: lastRecords[state.source], isFresh: isFresh))
    }
    return outcomes
  }

  /// Finds what others wrote to the destination behind the map's end. Notes nothing.
  ///
  /// - Parameter range: of the destination's log; all of it can be read.
  /// Returns: stretches of `range` that the mirror did not write, as the next ``reconcile(_:stillness:isFresh:)``
  ///   will tell them from its own.
  /// Throws: ``KafkaError``; the store's error.
  package func foreign(
    in range: Range<Offset>, of source: TopicPartition
  ) async throws -> [Range<Offset>] {
    let state = try await store.state(of: source, direction)
    let start = state.expectedEnd(direction)
    let end = range.upperBound
    let written = try await destinationReader.digests(
      of: state.partition(on: direction.destination), from: start, before: end)
    let read = try await originReader.digests(
      of: state.partition(on: direction.origin), from: state.position, limit: written.count)
    let foreign = Tail(written, read, from: start, to: end, dropped: 0).foreign
    guard !foreign.isEmpty else { return [] }
    let origin = state.partition(on: direction.origin)
    if let bounds = try await originAdmin.bounds(of: [origin])[origin],
      try await compactedTail(of: state, end: end, bounds) != nil
    {
      return []
    }
    return foreign.map { $0.clamped(to: range) }.filter { !$0.isEmpty }
  }

  /// What stands on the origin where a partition's last mirrored record has to be.
  private struct LastRecord {
    let offset: Offset
    /// `nil` where it is gone.
    let digest: RecordDigest?
  }

  /// Reads the last mirrored records of partitions near their end together: one by one, a thousand
  /// resting partitions take a minute.
  private func lastRecords(
    _ states: [MirrorState], _ bounds: [TopicPartition: LogBounds]
  ) async throws -> [TopicPartition: LastRecord] {
    var found: [TopicPartition: LastRecord] = [:]
    let near = states.filter { state in
      guard let last = lastMirrored(state), let log = bounds[state.partition(on: direction.origin)]
      else { return false }
      return log.start <= last && log.end > last && log.end - last <= 10_000
    }
    for start in stride(from: 0, to: near.count, by: 500) {
      let some = near[start..<min(start + 500, near.count)]
      let places = some.map { ($0.partition(on: direction.origin), lastMirrored($0)!) }
      let digests = try await originReader.firstDigests(
        at: Dictionary(uniqueKeysWithValues: places))
      for (state, (partition, last)) in zip(some, places) {
        let record = digests[partition]
        found[state.source] = LastRecord(
          offset: last, digest: record?.offset == last ? record?.digest : nil)
      }
    }
    return found
  }

  /// The offset of the last mirrored record on the origin, where its digest is known.
  private func lastMirrored(_ state: MirrorState) -> Offset? {
    guard state.lastDigest != nil, let end = state.mapEnds[direction.origin] else { return nil }
    return Offset(end.rawValue - 1)
  }

  private func stillEnds(
    of partitions: [TopicPartition], _ stillness: Duration
  ) async throws -> [TopicPartition: Offset] {
    var ends = try await destinationAdmin.offsets(.end, of: partitions)
    // Somebody who goes on writing is found out by comparing, not by waiting for them.
    for _ in 0..<20 {
      try await Task.sleep(for: stillness)
      let later = try await destinationAdmin.offsets(.end, of: partitions)
      if later == ends { return ends }
      ends = later
    }
    return ends
  }

  private func reconcile(
    _ state: MirrorState, end: Offset, bounds: LogBounds, last: LastRecord?, isFresh: Bool
  ) async throws -> Outcome {
    var state = state
    let originPartition = state.partition(on: direction.origin)
    func stopped(_ fault: MirrorFault) -> Outcome {
      Outcome(state: state, adopted: 0, lost: 0, fault: fault, left: bounds.end - state.position)
    }

    // The records before this position were read once; they must not have been cut off since.
    if bounds.end < state.position, let mirrored = state.mapEnds[direction.origin],
      bounds.end < mirrored
    {
      return stopped(.originChanged(origin: originPartition, at: bounds.end))
    }
    if bounds.start > state.position {
      let gap = state.position..<bounds.start
      guard try await skip(gap, &state, destinationEnd: end) else {
        return stopped(
          .retentionGap(origin: originPartition, from: gap.lowerBound, to: gap.upperBound))
      }
    }

    var lost: Int64 = 0
    let expected = state.expectedEnd(direction)
    if end < expected {
      let destination = state.partition(on: direction.destination)
      guard let recovered = try await forgetLostTail(state, end: end, bounds: bounds) else {
        return stopped(
          .destinationTruncated(destination: destination, end: end, expected: expected))
      }
      lost = expected - end
      state = recovered
    }
    if !isFresh, let fault = try await checkLastRecord(state, bounds, last) {
      return stopped(fault)
    }
    guard end > state.expectedEnd(direction) else {
      return Outcome(
        state: state, adopted: 0, lost: lost, fault: nil, left: bounds.end - state.position)
    }
    return try await adopt(state, end: end, bounds)
  }

  /// Goes on behind records that the origin dropped, if that is allowed. What was written and not noted
  /// could no longer be told from foreign records, so the destination has to end where the map does.
  private func skip(
    _ gap: Range<Offset>, _ state: inout MirrorState, destinationEnd: Offset
  ) async throws -> Bool {
    guard destinationEnd == state.expectedEnd(direction),
      try await store.accept(gap: gap, of: state.source, direction)
    else { return false }
    state.position = gap.upperBound
    try await store.append([
      MirrorCheckpoint(
        source: state.source, direction: direction, segments: [], lastDigest: state.lastDigest,
        position: state.position)
    ])
    return true
  }

  /// The last mirrored record must still stand on the origin, unless retention or compaction took it.
  private func checkLastRecord(
    _ state: MirrorState, _ bounds: LogBounds, _ known: LastRecord?
  ) async throws -> MirrorFault? {
    guard let digest = state.lastDigest, let last = lastMirrored(state), bounds.start <= last else {
      return nil
    }
    let partition = state.partition(on: direction.origin)
    var found: RecordDigest?
    if let known, known.offset == last {
      found = known.digest
    } else {
      found = try await originReader.digests(
        of: partition, from: last, limit: 1, before: last + 1
      ).first?.digest
    }
    guard let found else { return nil }
    return found == digest ? nil : .originChanged(origin: partition, at: last)
  }

  /// The destination holds more than the map knows: ours, if equal to the origin's next records. Where
  /// it has dropped the first of them, those that are left show which ones they were.
  private func adopt(
    _ state: MirrorState, end: Offset, _ bounds: LogBounds
  ) async throws -> Outcome {
    let from = state.partition(on: direction.origin)
    let to = state.partition(on: direction.destination)
    let expected = state.expectedEnd(direction)
    let start = max(expected, try await destinationAdmin.offsets(.start, of: [to])[to] ?? expected)
    let written = try await destinationReader.digests(of: to, from: start, before: end)
    let dropped = start - expected
    if dropped > 0, written.isEmpty {
      let fault = MirrorFault.unreadable(
        origin: to, reason: "it dropped the records before offset \(start) before they were noted")
      return Outcome(
        state: state, adopted: 0, lost: 0, fault: fault, left: bounds.end - state.position)
    }
    let read = try await originReader.digests(
      of: from, from: state.position, limit: Int(dropped) + written.count)
    var state = state
    var found = Tail(written, read, from: start, to: end, dropped: Int(dropped))
    var fault: MirrorFault?
    if let first = found.foreign.first?.lowerBound {
      if let tail = try await compactedTail(of: state, end: end, bounds) {
        return try await adopt(tail, state, bounds)
      }
      // Where records were dropped the first one has to speak for them.
      let isDoubtful = dropped > 0 && first == start
      if !isDoubtful,
        try await store.accept(foreign: found.foreign, of: state.source, direction)
      {
        // What was written behind them comes behind them.
        if found.foreign.last?.upperBound == end { state.destinationBase = end }
      } else {
        fault = .foreignWrite(destination: to, at: first)
        found.own.removeAll { $0.offset > first }
      }
    }
    var segments: [OffsetSegment] = []
    for (offset, twin) in found.own {
      // The first one speaks for those that were dropped before it.
      for known in (segments.isEmpty ? twin - Int(offset == start ? dropped : 0) : twin)...twin {
        segments.append(
          OffsetSegment(
            origin: read[known].offset, destination: offset + Int64(known - twin), count: 1,
            direction))
      }
      state.lastDigest = read[twin].digest
      state.position = read[twin].offset + 1
    }
    try await note(segments, &state)
    return Outcome(
      state: state, adopted: segments.count, lost: 0, fault: fault,
      left: bounds.end - state.position)
  }

  private func adopt(
    _ tail: CompactedTail, _ state: MirrorState, _ bounds: LogBounds
  ) async throws -> Outcome {
    var state = state
    let segments = tail.runs.map {
      OffsetSegment(
        origin: $0.origin, destination: $0.destination, count: $0.count, direction)
    }
    state.lastDigest = tail.lastDigest
    state.position = tail.position
    try await note(segments, &state)
    let adopted = segments.reduce(0) { $0 + Int($1.count) }
    return Outcome(
      state: state, adopted: adopted, lost: 0, fault: nil, left: bounds.end - state.position)
  }

  private func note(_ segments: [OffsetSegment], _ state: inout MirrorState) async throws {
    guard let last = segments.last else { return }
    state.mapEnds = [.source: last.sourceEnd, .target: last.targetEnd]
    try await store.append([
      MirrorCheckpoint(
        source: state.source, direction: direction, segments: segments,
        lastDigest: state.lastDigest, position: state.position)
    ])
  }

  /// The destination's records behind the map's end, where compaction on either side explains them.
  private func compactedTail(
    of state: MirrorState, end: Offset, _ bounds: LogBounds
  ) async throws -> CompactedTail? {
    let from = state.partition(on: direction.origin)
    let to = state.partition(on: direction.destination)
    let compaction = CompactedTail.Compaction(
      origin: try await originAdmin.configs(of: from.topic).areOfCompactedTopic,
      destination: try await destinationAdmin.configs(of: to.topic).areOfCompactedTopic)
    guard compaction.origin || compaction.destination else { return nil }
    // In this order, what compaction takes from the origin in between leaves an orphan behind.
    let tail = state.expectedEnd(direction)..<end
    let written = try await destinationReader.keyed(of: to, from: tail.lowerBound, before: end)
    let read = try await originReader.digests(
      of: from, from: state.position, limit: Int(end - tail.lowerBound) + 1)
    guard
      let found = CompactedTail(
        written: written, in: tail, read: read, from: state.position, originEnd: bounds.end,
        compaction: compaction)
    else { return nil }
    var superseding: [[UInt8]: Offset] = [:]
    // A tombstone may have been dropped with nothing behind it.
    for orphan in found.orphans where !orphan.record.isTombstone {
      superseding[orphan.record.key!] = orphan.origin + 1
    }
    return try await originReader.holds(superseding, in: from) ? found : nil
  }

  /// The destination lost its tail. What this direction wrote there can be copied again, exactly, if
  /// the origin still has it; the map then forgets those pairs.
  ///
  /// Returns: `nil` where it cannot.
  private func forgetLostTail(
    _ state: MirrorState, end: Offset, bounds: LogBounds
  ) async throws -> MirrorState? {
    guard end >= state.destinationBase else { return nil }
    var map = try await store.map(of: state.source)
    guard
      let first = map.pairs(
        in: end..<state.expectedEnd(direction), on: direction.destination
      ).first
    else { return nil }
    let position = first.start(on: direction.origin)
    guard bounds.start <= position else { return nil }
    map.truncate(to: end, on: direction.destination)
    var digest: RecordDigest?
    if let mapEnd = map.end(on: direction.origin), mapEnd > bounds.start {
      let last = Offset(mapEnd.rawValue - 1)
      digest = try await originReader.digests(
        of: state.partition(on: direction.origin), from: last, limit: 1, before: mapEnd
      ).first?.digest
    }
    try await store.truncate(
      state.source, to: end, on: direction.destination, lastDigest: digest, position: position,
      direction)
    return try await store.state(of: state.source, direction)
  }
}
