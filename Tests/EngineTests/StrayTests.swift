import Kafka
import KafkaModel
import Mirror
import Testing

@testable import Engine

@Suite("Strays")
struct StrayTests {
  private static let partition = TopicPartition("orders", 0)

  private static func records(_ letters: String, from start: Int64) -> [PartitionReader.Digested] {
    letters.enumerated().map { index, letter in
      PartitionReader.Digested(
        offset: Offset(start + Int64(index)),
        digest: RecordDigest(low: UInt64(letter.unicodeScalars.first!.value), high: 0))
    }
  }

  @Test(
    "Copies are found among what others wrote, in order, up to the first that did not arrive",
    arguments: [
      ("abc", "", []), ("abc", "xyz", []), ("abc", "abc", [0, 1, 2]), ("abc", "xaybz", [1, 3]),
      ("abc", "bc", []), ("aab", "ab", [0]), ("aab", "axab", [0, 2, 3]), ("abc", "cab", [1, 2]),
    ] as [(String, String, [Int64])])
  func copies(strays: String, target: String, places: [Int64]) {
    let found = StrayForwarding.copies(
      of: Self.records(strays, from: 50), in: Self.records(target, from: 900))
    let pairs = found.flatMap { copy in
      (0..<copy.count).map { (copy.sourceStart + $0, copy.targetStart + $0) }
    }
    #expect(pairs.map(\.0) == places.indices.map { Offset(50 + Int64($0)) })
    #expect(pairs.map(\.1) == places.map { Offset(900 + $0) })
  }

  @Test("What was decided about is not decided again")
  func rest() {
    let known = Stretches(ranges: [
      Offset(3)..<Offset(5), Offset(5)..<Offset(7), Offset(9)..<Offset(10),
    ])
    #expect(
      known.rest(of: Offset(0)..<Offset(12)) == [
        Offset(0)..<Offset(3), Offset(7)..<Offset(9), Offset(10)..<Offset(12),
      ])
    #expect(known.rest(of: Offset(4)..<Offset(6)) == [])
    #expect(Stretches(ranges: []).rest(of: Offset(4)..<Offset(6)) == [Offset(4)..<Offset(6)])
  }

  @Test("No more than a batch is copied at once")
  func batches() {
    let ranges = [Offset(0)..<Offset(3), Offset(5)..<Offset(9)]
    #expect(StrayForwarder.first(7, of: ranges) == (ranges, true))
    #expect(StrayForwarder.first(4, of: ranges) == ([ranges[0], Offset(5)..<Offset(6)], false))
    #expect(StrayForwarder.first(3, of: ranges) == ([ranges[0]], false))
  }

  @Test("What a plan forwards batch by batch is told in one line")
  func merging() {
    func decision(_ from: Int64, _ target: Int64, attempt: Int = 1) -> StrayDecision {
      StrayDecision(
        strays: [StrayWrite(Self.partition, Offset(from)..<Offset(from + 2))], attempt: attempt,
        order: nil,
        forwarded: [
          ForwardedStrays(
            partition: Self.partition,
            copies: [
              OffsetSegment(sourceStart: Offset(from), targetStart: Offset(target), count: 2)
            ])
        ])
    }
    var all = decision(10, 100)
    let isTaken = [decision(12, 102), decision(20, 110)].map { all.takeIn($0) }
    #expect(isTaken == [true, true])
    #expect(all.summary == "6 records of orders:0 forwarded to the target by the plan")
    #expect(all.strays.map(\.range) == [Offset(10)..<Offset(14), Offset(20)..<Offset(22)])
    #expect(all.forwarded?[0].copies.count == 2)
    let left = StrayDecision(
      strays: [StrayWrite(Self.partition, Offset(40)..<Offset(41))], attempt: 1, order: nil)
    let isOther = [decision(30, 120, attempt: 2), left].map { all.takeIn($0) }
    #expect(isOther == [false, false])
  }

  /// Each look is a patience apart from the one before.
  @Test(
    "Where the mirror has stopped, what stood there at the look before counts, however many come")
  func growing() async throws {
    let tripwire = Tripwire()
    var progress = PartitionProgress(position: Offset(0), destinationEnd: Offset(10))
    progress.fault = .foreignWrite(destination: Self.partition, at: Offset(10))
    let decided = [Offset(10)..<Offset(12)]
    // The third look begins behind what was decided, so it is a first one again.
    for (end, decided, found) in [
      (12, [], nil), (15, [], 2), (19, decided, nil), (30, decided, 7),
    ] as [(Int64, [Range<Offset>], Int64?)] {
      tripwire.look(
        mirrored: [Self.partition: progress], ends: [Self.partition: Offset(end)],
        decided: { _ in Stretches(ranges: decided) })
      #expect(tripwire.strays.first?.count == found)
      try await Task.sleep(for: Tripwire.patience)
    }
    #expect(tripwire.strays.map(\.range) == [Offset(12)..<Offset(19)])
    let claimed = tripwire.claim { $0 }
    #expect(tripwire.strays.isEmpty && tripwire.isDeciding)
    tripwire.decide(claimed, isAwaitingQuiet: true)
    #expect(!tripwire.takeDecision { _ in false })
    #expect(tripwire.takeDecision { _ in true })
    #expect(tripwire.isStarting)
  }
}
