import KafkaModel

/// What the test knows of one partition, from its own writing and from plain reads: nothing of it comes
/// from the mirror.
struct SeedLog {
  typealias Placed = (offset: Offset, record: Record)

  /// A record that a client wrote and that is to be mirrored.
  struct Original {
    let origin: ClusterRole
    let offset: Offset
    let record: Record
  }

  /// A record on the destination that is not Ferry's.
  struct Foreign {
    let destination: ClusterRole
    let offset: Offset
    let record: Record
    /// Records of a mirror may have been under way when it was written.
    let mayBeFollowed: Bool
  }

  /// What stood on the target before the mirror was armed.
  var standing: [Placed] = []
  /// All records that are to be on both sides, in the order in which they were written.
  var originals: [Original] = []
  var foreign: Foreign?

  /// Holds what both logs hold, and the map's words, against what was written.
  ///
  /// - Parameter logs: each cluster's readable records from its log start on.
  /// Returns: what is wrong; empty if nothing.
  func problems(
    logs: [ClusterRole: [Placed]], starts: [ClusterRole: Offset], map: OffsetMap, position: Offset,
    direction: Direction
  ) -> [String] {
    var found: [String] = []
    var copies = originals.count
    var logs = logs
    found += takeStanding(from: &logs[.target]!, start: starts[.target]!)
    if let foreign {
      let role = foreign.destination
      copies = takeForeign(foreign, from: &logs[role]!, start: starts[role]!, &found)
    }
    guard found.isEmpty else { return found }
    var places: [ClusterRole: [Offset]] = [:]
    for role in ClusterRole.allCases {
      let count = foreign?.destination == role ? copies : originals.count
      places[role] = compare(logs[role]!, count, role, start: starts[role]!, &found)
    }
    guard found.isEmpty else { return found }
    let pairs = zip(places[.source]!.prefix(copies), places[.target]!.prefix(copies)).map {
      (source: $0, target: $1)
    }
    found += wrongWords(of: map, pairs, logs)
    let mapped = pairs.last.map { direction == .forward ? $0.source : $0.target }
    let next = copies < originals.count ? places[direction.origin]![copies] : nil
    if let mapped, position <= mapped { found.append("position \(position) is in the map") }
    if let next, position > next { found.append("position \(position) passes over \(next)") }
    return found
  }

  private func takeStanding(from log: inout [Placed], start: Offset) -> [String] {
    let standing = standing.filter { $0.offset >= start }
    let stood = Array(log.prefix(standing.count))
    log.removeFirst(stood.count)
    guard stood.map(\.record) == standing.map(\.record),
      stood.map(\.offset) == standing.map(\.offset)
    else { return ["what stood on the target before has changed"] }
    return []
  }

  /// What follows the foreign record may only be the mirror's records that were under way, in order.
  ///
  /// Returns: how many originals stand before it.
  private func takeForeign(
    _ foreign: Foreign, from log: inout [Placed], start: Offset, _ found: inout [String]
  ) -> Int {
    guard let index = log.firstIndex(where: { $0.offset == foreign.offset }),
      log[index].record == foreign.record
    else {
      found.append("the foreign record is not at offset \(foreign.offset)")
      return 0
    }
    let copies = dropped(from: foreign.destination, start).count + index
    let followers = log[(index + 1)...].map(\.record)
    if !followers.isEmpty, !foreign.mayBeFollowed {
      found.append("\(followers.count) records were written behind the foreign one")
    }
    if followers != originals.dropFirst(copies).prefix(followers.count).map(\.record) {
      found.append("what follows the foreign record is not what the origin holds next")
    }
    log.removeSubrange(index...)
    return copies
  }

  /// Where the records stood that a log has lost at its head on purpose.
  private func dropped(from role: ClusterRole, _ start: Offset) -> [Offset] {
    // Only the first copies on the target are ever dropped; they follow what stood there.
    originals.enumerated().prefix { $1.origin == role || role == .target }.map { index, original in
      original.origin == role ? original.offset : Offset(Int64(standing.count + index))
    }.filter { $0 < start }
  }

  /// Compares record by record.
  ///
  /// Returns: where each original stands on this log.
  private func compare(
    _ log: [Placed], _ count: Int, _ role: ClusterRole, start: Offset, _ found: inout [String]
  ) -> [Offset] {
    let dropped = dropped(from: role, start)
    if log.count != count - dropped.count {
      found.append("the \(role) holds \(log.count) records, not \(count - dropped.count)")
    }
    for (index, (original, placed)) in zip(originals.dropFirst(dropped.count), log).enumerated() {
      if placed.record != original.record {
        found.append(
          "the \(role)'s record \(index + dropped.count) at offset \(placed.offset) is "
            + "\(placed.record), not \(original.record)")
        break
      }
      if original.origin == role, placed.offset != original.offset {
        found.append(
          "the \(role)'s own record \(index + dropped.count) moved from \(original.offset)"
            + " to \(placed.offset)")
        break
      }
    }
    return dropped + log.map(\.offset)
  }

  /// The map against a naive dictionary: the n-th record here is the n-th record there.
  private func wrongWords(
    of map: OffsetMap, _ pairs: [(source: Offset, target: Offset)], _ logs: [ClusterRole: [Placed]]
  ) -> [String] {
    var found: [String] = []
    var told: [(source: Offset, target: Offset)] = []
    for segment in map.segments {
      for step in 0..<segment.count {
        told.append((segment.sourceStart + step, segment.targetStart + step))
      }
    }
    if told.count != pairs.count { found.append("the map holds \(told.count) of \(pairs.count)") }
    if let wrong = zip(told, pairs).first(where: { $0 != $1 }) {
      found.append("the map says \(wrong.0), but \(wrong.1) is right")
    }
    for (segment, next) in zip(map.segments, map.segments.dropFirst())
    where next.sourceStart < segment.sourceEnd || next.targetStart < segment.targetEnd
      || (next.sourceStart == segment.sourceEnd && next.targetStart == segment.targetEnd)
    {
      found.append("the map's segments \(segment) and \(next) overlap or are one")
    }
    for role in ClusterRole.allCases {
      let here = pairs.map { role == .source ? $0.source : $0.target }
      let there = pairs.map { role == .source ? $0.target : $0.source }
      let naive = Dictionary(uniqueKeysWithValues: zip(here, there))
      // From behind, so that each offset without a record knows the next record's partner.
      var next: Offset?
      let end = max(logs[role]!.last?.offset ?? Offset(0), here.last ?? Offset(0)) + 2
      for offset in stride(from: end.rawValue, through: 0, by: -1).map({ Offset($0) }) {
        next = naive[offset] ?? next
        let said = map.translate(offset, from: role)
        if said != next || map.contains(offset, on: role) != (naive[offset] != nil) {
          found.append("the \(role)'s offset \(offset) is \(said as Any), not \(next as Any)")
          return found
        }
      }
    }
    return found
  }
}
