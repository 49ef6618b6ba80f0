package import KafkaModel

/// Somebody, or the plan, has decided about records that others wrote to the source after the switch: they
/// stay there, and the reverse mirror goes on around them. Journalled before the mirror does.
///
/// The ranges may hold records of the mirror's own that were not noted yet; those are in the map as soon as
/// it has reconciled. What is in a range and not in the map is a stray.
package struct StrayDecision: Codable, Hashable, Sendable {
  package let strays: [StrayWrite]
  package let attempt: Int
  /// `nil` where the plan decided (`strays: rollback`).
  package let order: Order?

  /// For people.
  package var summary: String {
    "\(strays.map(\.name).joined(separator: ", ")) left on the source by \(order?.summary ?? "the plan")"
  }
}

extension StrayWrite {
  package var range: Range<Offset> { from..<(from + count) }

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
}
