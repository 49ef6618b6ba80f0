import Mirror
import TestSupport
import Testing

@Suite("Dividing partitions among lanes")
struct LaneSharesTests {
  private static func divide(_ left: [Int64], _ lanes: Int?) -> [[Int]] {
    LaneShares.divide(left.enumerated().map { ($0.offset, $0.element) }, lanes: lanes)
  }

  @Test("The largest go first, each to the lane with the least")
  func largestFirst() {
    #expect(Self.divide([10, 70, 30, 50], 2) == [[1, 0], [3, 2]])
    #expect(Self.divide([5], 4) == [[0]])
    #expect(Self.divide([], 4) == [[]])
  }

  @Test("Those of higher priority are dealt first")
  func priority() {
    let items: [(item: Int, left: Int64)] = [(0, 90), (1, 20), (2, 10), (3, 5)]
    #expect(
      LaneShares.divide(items, lanes: 2) { [1, 2].contains($0) ? 1 : 0 } == [[1, 3], [2, 0]])
  }

  @Test("Resting partitions are spread evenly while they are few, or alone")
  func resting() {
    #expect(Self.divide(Array(repeating: 0, count: 7), 3).map(\.count) == [3, 2, 2])
    #expect(Self.divide(Array(repeating: 0, count: 300), 3).map(\.count) == [100, 100, 100])
    #expect(Self.divide([9, 9, 0, 0], 2).map(\.count) == [2, 2])
  }

  @Test("Many resting ones beside busy ones get a lane of their own")
  func manyResting() {
    let shares = Self.divide([9, 0, 9] + Array(repeating: 0, count: 200), 2)
    #expect(shares.count == 3)
    #expect(shares[0] == [0] && shares[1] == [2] && shares[2].count == 201)
  }

  @Test("Left to itself, partitions that rest do not spread the busy ones over more lanes")
  func automatic() {
    let busy = Array(repeating: Int64(9), count: 10)
    #expect(Self.divide(busy, nil).count == 1)
    #expect(Self.divide(busy + Array(repeating: 0, count: 1000), nil).map(\.count) == [10, 1000])
    #expect(Self.divide(Array(repeating: 9, count: 24), nil).count == 3)
    #expect(Self.divide(Array(repeating: 0, count: 1000), nil).count == 4)
  }

  @Test("Every partition is in exactly one share", arguments: 1...40)
  func complete(seed: UInt64) {
    var random = RecordGenerator(seed: seed)
    let left = (0..<Int.random(in: 0...200, using: &random)).map { _ in
      Int64.random(in: -5...50, using: &random) * (Bool.random(using: &random) ? 1 : 0)
    }
    let shares = Self.divide(left, Int.random(in: 1...9, using: &random))
    #expect(shares.flatMap(\.self).sorted() == Array(left.indices))
    #expect(shares.count == 1 || shares.allSatisfy { !$0.isEmpty })
  }
}
