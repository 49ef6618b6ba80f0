import Mirror
import TestSupport
import Testing

@Suite("Histograms of durations")
struct DurationHistogramTests {
  @Test("A quantile is never too short, and at most an eighth too long", arguments: [0, 7, 20, 62])
  func quantiles(bits: Int) {
    var random = RecordGenerator(seed: UInt64(bits))
    var histogram = DurationHistogram()
    let values = (0..<5000).map { _ in UInt64.random(in: 0...(1 << UInt64(bits)), using: &random) }
    for value in values { histogram.add(value) }
    let sorted = values.sorted()
    for share in [0.001, 0.5, 0.9, 0.99, 1] {
      let exact = sorted[Int((Double(sorted.count) * share).rounded(.up)) - 1]
      let found = histogram.quantile(share)!
      #expect(found >= exact && found - exact <= exact / 8, "\(found) for \(exact)")
    }
    #expect(histogram.max == sorted.last)
    #expect(histogram.count == 5000)
  }

  @Test("The longest of all durations is counted; nothing has no quantile")
  func ends() {
    var histogram = DurationHistogram()
    #expect(histogram.quantile(0.5) == nil)
    histogram.add(.max)
    #expect(histogram.quantile(0.5) == .max)
  }
}
