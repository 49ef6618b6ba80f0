import KafkaModel
import Testing

@Suite("Values that all modules share")
struct ValueTests {
  private struct Broken: OperatorError {
    var summary = "the fence on source does not hold: orders:3 went from 10 to 12"
    var hint = "stop what still writes"
    var runbook: String?
  }

  @Test("An error says what happened, what to do next, and where to read on")
  func errors() {
    #expect(
      Broken(runbook: "fence-does-not-hold.md").description == """
        the fence on source does not hold: orders:3 went from 10 to 12
          next: stop what still writes
          see:  Runbooks/fence-does-not-hold.md
        """)
    #expect(
      "\(Broken())" == """
        the fence on source does not hold: orders:3 went from 10 to 12
          next: stop what still writes
        """)
  }

  @Test("An error names no runbook page unless it says so")
  func noPageByDefault() {
    struct Plain: OperatorError {
      var summary = "a"
      var hint = "b"
    }
    #expect(Plain().runbook == nil)
    #expect(Plain().description == "a\n  next: b")
  }

  @Test(
    "A digest prints as 32 digits, the high half first",
    arguments: [
      (RecordDigest.zero, "00000000000000000000000000000000"),
      (RecordDigest(low: 1, high: 0xAB), "00000000000000ab0000000000000001"),
      (RecordDigest(low: .max, high: 0), "0000000000000000ffffffffffffffff"),
      (RecordDigest(low: 0, high: .max), "ffffffffffffffff0000000000000000"),
    ])
  func digests(_ digest: RecordDigest, _ text: String) {
    #expect(digest.description == text)
  }

  @Test("Partitions print as commands take them, and sort by topic, then by number")
  func partitions() {
    let sorted = [TopicPartition("b", 1), TopicPartition("a", 10), TopicPartition("a", 9)].sorted()
    #expect(sorted.map(\.description) == ["a:9", "a:10", "b:1"])
  }

  @Test("Records flow from the origin to the destination; roles never swap")
  func roles() {
    #expect(Direction.forward.origin == .source && Direction.forward.destination == .target)
    #expect(Direction.reverse.origin == .target && Direction.reverse.destination == .source)
    #expect(ClusterRole.allCases.allSatisfy { $0.opposite.opposite == $0 && $0.opposite != $0 })
  }

  @Test("Offsets are positions: they move by counts and differ by counts")
  func offsets() {
    #expect(Offset(5) + 3 == Offset(8) && Offset(8) - Offset(5) == 3 && Offset(5) < Offset(8))
    #expect("\(Offset(42))" == "42")
  }
}
