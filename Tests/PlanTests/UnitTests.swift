import Testing

@testable import Plan

@Suite struct UnitTests {
  @Test(
    arguments: [
      ("250ms", 250), ("30s", 30_000), ("1.5s", 1500), ("0.5m", 30_000), ("5m", 300_000),
      ("2h", 7_200_000), ("1d", 86_400_000), ("0s", 0), ("0.7d", 60_480_000), ("10 s", 10_000),
      ("3650d", 315_360_000_000), ("0.0015s", 2),
    ])
  func durationsAreReadToTheMillisecond(text: String, milliseconds: Int64) throws {
    var plan = PlanText()
    plan.stage.replace("groups:", with: "soak: \(text), groups:")
    #expect(try plan.parsed().stages[0].soak == .milliseconds(milliseconds))
  }

  @Test(
    arguments: [
      ("100B", 100), ("512KiB", 524_288), ("10MB", 10_000_000), ("50MiB", 52_428_800),
      ("1GiB", 1_073_741_824), ("1.5kB", 1500), ("2KB", 2000), ("3GB", 3_000_000_000),
      ("1TB", 1_000_000_000_000), ("1TiB", 1_099_511_627_776), ("1024TiB", 1 << 50),
    ])
  func sizesAndRatesAreReadToTheByte(text: String, bytes: Int64) throws {
    var plan = PlanText()
    plan.mirror = "{ memory: \(text), rate: \(text)/s }"
    plan.validate = "{ rate: \"\(text)/s\" }"
    let parsed = try plan.parsed()
    #expect(parsed.mirror.memoryBytes == bytes)
    #expect(parsed.mirror.bytesPerSecond == bytes)
    #expect(parsed.validate.bytesPerSecond == bytes)
  }

  @Test(
    arguments: [
      "", "s", ".5s", "1.s", "1..5s", "1e3s", "٣s", "1s2", "0x1s", "30S", "1,5s", "NaNs", "infs",
      "9999999999999999s", "+1s",
    ])
  func whatIsNoDurationIsRefused(text: String) {
    var plan = PlanText()
    plan.stage.replace("groups:", with: "soak: \"\(text)\", groups:")
    #expect(plan.problems.count == 1)
    #expect(plan.problems.first?.hasPrefix("13:45: `soak` has to be a duration") == true)
  }

  @Test(
    arguments: [
      ("earliest", TopicRule.Start.earliest), ("latest", .latest),
      ("1767225600000", .timestamp(1_767_225_600_000)),
      ("2026-01-01T00:00:00Z", .timestamp(1_767_225_600_000)),
      ("2026-01-01T01:00:00+01:00", .timestamp(1_767_225_600_000)),
    ])
  func aCopyStartsAtATimeOfAnySpelling(text: String, start: TopicRule.Start) throws {
    let plan = PlanText.with(\.topic, "{ match: \"orders.*\", owner: t, start: \"\(text)\" }")
    #expect(try plan.parsed().topics[0].start == start)
  }

  @Test(
    arguments: [
      ("dryrun", "dryRun"), ("DRYRUN", "dryRun"), ("owenr", "owner"), ("onwer", "owner"),
      ("ower", "owner"), ("stgae", "stage"), ("rateLimit", nil), ("x", nil),
    ])
  func theNearestWordIsSuggested(word: String, expected: String?) {
    #expect(Spelling.nearest(to: word, in: ["dryRun", "owner", "stage"]) == expected)
  }
}
