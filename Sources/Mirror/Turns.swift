/// Items that a budget holds back, in the order in which each line got them. Lines take turns, and get as many
/// bytes each, whatever the size of their items.
package struct Turns<Item> {
  private struct Line {
    var items = FIFO<(item: Item, bytes: Int)>()
    /// Bytes that it may still take in this turn; less than none where its last item was larger.
    var credit = 0
  }

  /// By number; those without an item are not kept.
  private var lines: [Int: Line] = [:]
  /// Numbers of all lines, in the order of their turns.
  private var order = FIFO<Int>()
  package private(set) var count = 0
  package private(set) var bytes = 0

  package init() {}

  /// Lines that have an item.
  package var lineCount: Int { lines.count }

  package mutating func append(_ item: Item, bytes: Int, to line: Int) {
    if lines[line] == nil { order.append(line) }
    lines[line, default: Line()].items.append((item, bytes))
    count += 1
    self.bytes += bytes
  }

  /// Takes items until so many bytes have been taken, and with the last one maybe some more.
  package mutating func take(bytes: Int, _ body: (Item) throws -> Void) rethrows {
    var left = bytes
    while left > 0, let line = order.first {
      if lines[line]!.credit <= 0 {
        // A small share of what there is: the next call goes on where this one ended.
        lines[line]!.credit += max(256, bytes / lines.count)
      }
      while left > 0, lines[line]!.credit > 0, let (item, size) = lines[line]!.items.popFirst() {
        // Items without a byte are work, too.
        lines[line]!.credit -= max(1, size)
        left -= max(1, size)
        count -= 1
        self.bytes -= size
        try body(item)
      }
      if lines[line]!.items.isEmpty {
        lines[line] = nil
        _ = order.popFirst()
      } else if lines[line]!.credit <= 0, order.popFirst() != nil {
        order.append(line)
      }
    }
  }

  package mutating func removeAll() { if count > 0 { self = Turns() } }
}
