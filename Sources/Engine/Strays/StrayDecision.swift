package import KafkaModel

/// Somebody, or the plan, has decided about records that others wrote to the source after the switch: they
/// stay there, and the reverse mirror goes on around them. Journalled before the mirror does.
///
/// The ranges may hold records of the mirror's own that were not noted yet; those are in the map as soon as
/// it has reconciled. What is in a range and not in the map is a stray.
package struct StrayDecision: Codable, Hashable, Sendable {
  package private(set) var strays: [StrayWrite]
  package let attempt: Int
  /// `nil` where the plan decided (`strays: forward`, `strays: rollback`).
  package let order: Order?
  /// Where the copies of them stand; `nil` where they stay on the source alone.
  package private(set) var forwarded: [ForwardedStrays]?

  init(
    strays: [StrayWrite], attempt: Int, order: Order?, forwarded: [ForwardedStrays]? = nil
  ) {
    self.strays = strays
    self.attempt = attempt
    self.order = order
    self.forwarded = forwarded
  }

  /// For people.
  package var summary: String {
    let who = order?.summary ?? "the plan"
    guard let forwarded else {
      return "\(strays.map(\.name).joined(separator: ", ")) left on the source by \(who)"
    }
    return "\(forwarded.map(\.name).joined(separator: ", ")) forwarded to the target by \(who)"
  }

  /// Without where each copy stands, of which there may be many.
  var brief: StrayDecision {
    var brief = self
    brief.forwarded = forwarded?.map { $0.brief }
    return brief
  }

  /// Takes a later decision in, if both are the plan's to forward: a writer that was never stopped makes
  /// for many of them.
  ///
  /// Returns: whether it did.
  mutating func takeIn(_ later: StrayDecision) -> Bool {
    guard order == nil, later.order == nil, attempt == later.attempt,
      let known = forwarded, let new = later.forwarded
    else { return false }
    for stray in later.strays {
      if let last = strays.lastIndex(where: { $0.partition == stray.partition }),
        strays[last].range.upperBound == stray.from
      {
        strays[last] = StrayWrite(
          partition: stray.partition, from: strays[last].from,
          count: strays[last].count + stray.count)
      } else {
        strays.append(stray)
      }
    }
    var copies = Dictionary(known.map { ($0.partition, $0.copies) }) { $0 + $1 }
    for partition in new {
      for copy in partition.copies { copies[partition.partition, default: []].add(copy) }
    }
    forwarded = copies.sorted { $0.key < $1.key }.map {
      ForwardedStrays(partition: $0.key, copies: $0.value)
    }
    return true
  }
}

/// Strays of one source partition that were copied to the target.
package struct ForwardedStrays: Codable, Hashable, Sendable {
  package let partition: TopicPartition
  package let records: Int64
  /// Each stray, and where its copy stands. Empty in a status.
  package private(set) var copies: [OffsetSegment]

  fileprivate var brief: ForwardedStrays {
    var brief = self
    brief.copies = []
    return brief
  }

  init(partition: TopicPartition, copies: [OffsetSegment]) {
    self.partition = partition
    self.copies = copies
    records = copies.reduce(0) { $0 + $1.count }
  }

  /// For people: `2 records of orders.events:3`.
  package var name: String { "\(records) record\(records == 1 ? "" : "s") of \(partition)" }
}

extension StrayWrite {
  package var range: Range<Offset> { from..<(from + count) }

  init(_ partition: TopicPartition, _ range: Range<Offset>) {
    self.init(
      partition: partition, from: range.lowerBound, count: range.upperBound - range.lowerBound)
  }

  /// For people: `orders.events:3 offsets 12 to 13`.
  package var name: String {
    count == 1
      ? "\(partition) offset \(from)" : "\(partition) offsets \(from) to \(from + (count - 1))"
  }
}

/// Stretches of one log.
struct Stretches {
  let ranges: [Range<Offset>]

  /// The first offset at or after `offset` that lies in none of them.
  func passing(_ offset: Offset) -> Offset {
    var offset = offset
    while let range = ranges.first(where: { $0.contains(offset) }) { offset = range.upperBound }
    return offset
  }

  func cover(_ range: Range<Offset>) -> Bool { passing(range.lowerBound) >= range.upperBound }

  /// What of `range` lies in none of them, in order.
  func rest(of range: Range<Offset>) -> [Range<Offset>] {
    var rest: [Range<Offset>] = []
    var next = passing(range.lowerBound)
    while next < range.upperBound {
      let end =
        ranges.map(\.lowerBound).filter { $0 > next }.min().map { Swift.min($0, range.upperBound) }
        ?? range.upperBound
      rest.append(next..<end)
      next = passing(end)
    }
    return rest
  }
}
