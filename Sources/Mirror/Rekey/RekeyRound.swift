/// The records between two cuts that follow each other, in the order in which a mirror writes them.
///
/// A mirror takes what the origin holds from one cut up to an end that is journalled before anything is
/// written. So a round can be told again from the origin alone: partition 0's records in the order of their
/// offsets, then partition 1's, and so on. Records with one key that share a partition keep their order.
package struct RekeyRound<Item> {
  /// The records that belong to each destination partition, in order.
  package private(set) var items: [[Item]]
  package private(set) var count: Int64 = 0

  /// - Parameter partitions: how many the destination has.
  package init(partitions: Int) { items = Array(repeating: [], count: partitions) }

  /// Adds the origin's next record in that order.
  package mutating func add(_ item: Item, to partition: Int32) {
    items[Int(partition)].append(item)
    count += 1
  }
}
