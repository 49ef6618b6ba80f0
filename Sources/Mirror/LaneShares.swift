/// Divides partitions among lanes.
package enum LaneShares {
  /// More resting partitions than this get a lane of their own: each fetch names every partition of its
  /// lane, to which the busy ones would pay.
  static let restingTogether = 50

  /// How many lanes so many partitions of which something is copied get by default.
  package static func automatic(_ partitions: Int) -> Int { min(4, max(1, partitions / 8)) }

  /// Those of the highest priority and then with the most left to copy go first, each to the lane that has
  /// the least so far; those with nothing left are spread evenly or, if they are many beside busy ones, get
  /// one more lane.
  ///
  /// - Parameters:
  ///   - items: partitions with the records that are left, at most.
  ///   - lanes: `nil` goes by the busy partitions, or by all where none is busy yet.
  /// Returns: no empty share, each in the order in which its partitions were dealt; one empty share where
  /// there are no items.
  package static func divide<Item>(
    _ items: [(item: Item, left: Int64)], lanes: Int?, priority: (Item) -> Int = { _ in 0 }
  ) -> [[Item]] {
    let busy = items.filter { $0.left > 0 }
    let resting = items.filter { $0.left <= 0 }
    let lanes = lanes ?? automatic(busy.isEmpty ? items.count : busy.count)
    guard !busy.isEmpty, resting.count > restingTogether else {
      return deal(busy + resting, lanes, priority)
    }
    return deal(busy, lanes, priority) + [resting.map(\.item)]
  }

  private static func deal<Item>(
    _ items: [(item: Item, left: Int64)], _ lanes: Int, _ priority: (Item) -> Int
  ) -> [[Item]] {
    var shares: [[Item]] = Array(repeating: [], count: max(1, min(lanes, items.count)))
    var loads = shares.map { _ in (left: Int64(0), count: 0) }
    let ordered = items.sorted {
      (priority($0.item), $0.left) > (priority($1.item), $1.left)
    }
    for (item, left) in ordered {
      let lightest = loads.indices.min { loads[$0] < loads[$1] } ?? 0
      shares[lightest].append(item)
      loads[lightest].left += max(0, left)
      loads[lightest].count += 1
    }
    return shares
  }
}
