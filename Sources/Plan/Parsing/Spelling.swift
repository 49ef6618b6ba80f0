/// Finds what somebody may have meant.
enum Spelling {
  /// `; did you mean ...?`, or nothing where no known word is near.
  static func suggestion(for word: String, in known: [String]) -> String {
    nearest(to: word, in: known).map { "; did you mean `\($0)`?" } ?? ""
  }

  /// The known word with the fewest edits, capitals not counting, where a third of the letters or
  /// fewer differ; the first of several equally near ones.
  static func nearest(to word: String, in known: [String]) -> String? {
    let ranked = known.map { ($0, distance(word.lowercased(), $0.lowercased())) }
    guard let best = ranked.min(by: { $0.1 < $1.1 }), best.1 <= max(1, word.count / 3) else {
      return nil
    }
    return best.0
  }

  /// Edits, two swapped neighbours counting as one (optimal string alignment).
  private static func distance(_ left: String, _ right: String) -> Int {
    let left = Array(left)
    let right = Array(right)
    var rows = [Array(0...right.count)]
    for row in left.indices {
      var next = [row + 1]
      for column in right.indices {
        let cost = left[row] == right[column] ? 0 : 1
        var best = min(rows[row][column] + cost, rows[row][column + 1] + 1, next[column] + 1)
        if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
          best = min(best, rows[row - 1][column - 1] + 1)
        }
        next.append(best)
      }
      rows.append(next)
    }
    return rows[left.count][right.count]
  }
}
