internal import Kafka
internal import KafkaModel

/// Finding out, after any stop, what the destination really holds, as ``Reconciler`` does for other topics.
extension RekeyLane {
  /// Where both logs stand.
  private struct Logs {
    let origin: [LogBounds]
    let destination: [LogBounds]
    var ends: [Offset] { destination.map(\.end) }
  }

  /// Reads again the last round that is known, and all that the destination may not hold or that may be
  /// on it without being known; writes what is missing of it.
  ///
  /// Returns: the last cut, from which reading goes on.
  /// Throws: ``MirrorFault``, ``KafkaError``; the store's error.
  func reconcile() async throws -> RekeyCut {
    let cuts = try await store.cuts(of: topic.source)
    let intent = try await store.intent(of: topic.source, direction)
    guard let last = cuts.last else {
      throw MirrorFault.unreadable(
        origin: topic.partitions(on: direction.origin)[0], reason: "its mirror was never armed")
    }
    let logs = try await logs()
    try check(logs, against: last)
    let first = try start(cuts, logs)
    let left = zip(logs.origin, cuts[first].ends(on: direction.origin)).map { $0.end - $1 }
    try open(at: cuts[first], left: left)
    for index in cuts.indices.dropFirst(first + 1) {
      _ = try await settle(
        cuts[index - 1], to: cuts[index].ends(on: direction.origin), known: cuts[index],
        isLast: intent == nil && index == cuts.count - 1, logs)
    }
    if let intent { return try await settle(last, to: intent, known: nil, isLast: true, logs) }
    try checkForeign(logs.ends, behind: last.ends(on: direction.destination))
    return last
  }

  /// The destination's ends have to stand still first: a killed predecessor's last requests may still be
  /// under way.
  private func logs() async throws -> Logs {
    let destinations = topic.partitions(on: direction.destination)
    let origins = topic.partitions(on: direction.origin)
    var written = try await destinationAdmin.bounds(of: destinations)
    for _ in 0..<20 {
      try await Task.sleep(for: settings.stillness)
      let later = try await destinationAdmin.bounds(of: destinations)
      if later == written { break }
      written = later
    }
    let read = try await originAdmin.bounds(of: origins)
    return Logs(origin: origins.map { read[$0]! }, destination: destinations.map { written[$0]! })
  }

  /// What is to be read next must still be there, and what was read before as well.
  private func check(_ logs: Logs, against cut: RekeyCut) throws(MirrorFault) {
    let names = topic.partitions(on: direction.origin)
    for (index, position) in cut.ends(on: direction.origin).enumerated() {
      let log = logs.origin[index]
      if log.start > position {
        throw .retentionGap(origin: names[index], from: position, to: log.start)
      }
      if log.end < position { throw .originChanged(origin: names[index], at: log.end) }
    }
  }

  /// The cut from which on all is read again: the one before the last round that holds a record, if that can
  /// still be read on both sides, or an earlier one where the destination has lost its tail.
  private func start(_ cuts: [RekeyCut], _ logs: Logs) throws(MirrorFault) -> Int {
    func isOwnRound(_ index: Int) -> Bool {
      index > 0 && cuts[index].kind == RekeyCut.Kind(direction)
        && cuts[index].number == cuts[index - 1].number + 1
        && logs.origin.map(\.start).isWithin(cuts[index - 1].ends(on: direction.origin))
    }
    func isHeld(_ index: Int) -> Bool {
      cuts[index].ends(on: direction.destination).isWithin(logs.ends)
    }
    func canCompare(_ index: Int) -> Bool {
      logs.destination.map(\.start).isWithin(cuts[index].ends(on: direction.destination))
    }
    var first = cuts.count - 1
    while !isHeld(first) {
      guard isOwnRound(first) else { throw truncated(cuts[cuts.count - 1], logs) }
      first -= 1
    }
    guard first == cuts.count - 1 else { return first }
    while isOwnRound(first), canCompare(first - 1) {
      first -= 1
      if cuts[first + 1].records > 0 { break }
    }
    return first
  }

  private func truncated(_ cut: RekeyCut, _ logs: Logs) -> MirrorFault {
    let ends = cut.ends(on: direction.destination)
    let short = ends.indices.first { logs.ends[$0] < ends[$0] } ?? 0
    return .destinationTruncated(
      destination: topic.partitions(on: direction.destination)[short], end: logs.ends[short],
      expected: ends[short])
  }

  /// Holds one round against what stands on the destination, and writes what is missing there.
  ///
  /// - Parameters:
  ///   - known: the cut behind it; `nil` where only its begin was journalled.
  ///   - isLast: nothing may stand behind it.
  private func settle(
    _ cut: RekeyCut, to end: [Offset], known: RekeyCut?, isLast: Bool, _ logs: Logs
  ) async throws -> RekeyCut {
    try fill(upTo: end)
    let round = takeRound(upTo: end)
    let starts = cut.ends(on: direction.destination)
    let ends = zip(starts, round.items).map { $0 + Int64($1.count) }
    if let known, known.ends(on: direction.destination) != ends {
      throw changed(at: cut)
    }
    let names = topic.partitions(on: direction.destination)
    var present: [Int] = []
    for (index, items) in round.items.enumerated() {
      let there = min(logs.ends[index], ends[index])
      let count = Int(max(0, there - starts[index]))
      present.append(count)
      guard count > 0 else { continue }
      let written = try await destinationReader.digests(
        of: names[index], from: starts[index], before: there)
      let wanted = items.prefix(count).enumerated().map { place, item in
        PartitionReader.Digested(offset: starts[index] + Int64(place), digest: item.digest)
      }
      guard written == wanted else {
        let same = zip(written, wanted).prefix { $0 == $1 }.count
        throw MirrorFault.foreignWrite(
          destination: names[index], at: starts[index] + Int64(same))
      }
    }
    if isLast { try checkForeign(logs.ends, behind: ends) }
    return try await carry(round, after: cut, to: end, present: present, known: known)
  }

  private func changed(at cut: RekeyCut) -> MirrorFault {
    .originChanged(
      origin: topic.partitions(on: direction.origin)[0], at: cut.ends(on: direction.origin)[0])
  }

  private func checkForeign(_ ends: [Offset], behind known: [Offset]) throws(MirrorFault) {
    guard let index = ends.indices.first(where: { ends[$0] > known[$0] }) else { return }
    throw .foreignWrite(
      destination: topic.partitions(on: direction.destination)[index], at: known[index])
  }
}
