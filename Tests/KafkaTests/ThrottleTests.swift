import Kafka
import Synchronization
import TestSupport
import Testing

/// Readers of a budget, at times that a test makes up: no machine is too busy for these.
@Suite("Budgets of bytes a second")
struct ThrottleTests {
  /// A clock that moves when it is told to.
  private final class Clock: Sendable {
    private let start = ContinuousClock.now
    private let elapsed = Mutex(Duration.zero)

    var now: ContinuousClock.Instant { start + elapsed.withLock { $0 } }
    var seconds: Double { elapsed.withLock { $0 } / .seconds(1) }
    func advance(_ duration: Duration) { elapsed.withLock { $0 += duration } }
  }

  /// What is read of records of one size, all of them there, by one that stands still now and then.
  private struct Worker {
    let reader: Throttle.Reader
    let recordBytes: Int
    let weight: Int
    var next = 0.0
    var taken = 0.0
  }

  /// Lets readers take what they get for some seconds; each comes when it comes, and after some longer
  /// standstill every now and then.
  ///
  /// Returns: bytes read by each, and the moments of reading with the bytes so far.
  private func simulate(
    rate: Int64, recordBytes: [Int], weights: [Int]? = nil, standstill: Double, seconds: Double,
    seed: UInt64
  ) -> (shares: [Double], moments: [(time: Double, total: Double)]) {
    var random = RecordGenerator(seed: seed)
    let clock = Clock()
    let throttle = Throttle(bytesPerSecond: rate) { clock.now }
    let weights = weights ?? recordBytes.map { _ in 1 }
    var workers = zip(recordBytes, weights).map {
      Worker(reader: throttle.reader(), recordBytes: $0, weight: $1)
    }
    var moments: [(time: Double, total: Double)] = [(0, 0)]
    while clock.seconds < seconds {
      let index = workers.indices.min { workers[$0].next < workers[$1].next }!
      clock.advance(.seconds(max(0, workers[index].next - clock.seconds)))
      let pause = Int.random(in: 0..<50, using: &random) == 0 ? standstill : 0.002
      workers[index].next = clock.seconds + pause * Double.random(in: 0.5...1, using: &random)
      let worker = workers[index]
      guard let portion = throttle.portion(for: worker.reader, weight: worker.weight), portion > 0
      else { continue }
      let bytes = max(1, portion / workers[index].recordBytes) * workers[index].recordBytes
      throttle.spend(bytes, for: workers[index].reader)
      workers[index].taken += Double(bytes)
      moments.append((clock.seconds, moments.last!.total + Double(bytes)))
    }
    return (workers.map(\.taken), moments)
  }

  @Test(
    "Over any ten seconds the rate is kept within 5 %, by one reader or many that stand still at times",
    arguments: [1, 3, 8], [20_000, 1 << 20, 50 << 20])
  func rate(readers: Int, rate: Int) {
    let (_, moments) = simulate(
      rate: Int64(rate), recordBytes: (0..<readers).map { [100, 1000, 350][$0 % 3] },
      standstill: 0.1, seconds: 30, seed: UInt64(readers))
    var last = 0
    for first in moments.indices {
      while last + 1 < moments.count, moments[last + 1].time <= moments[first].time + 10 {
        last += 1
      }
      guard moments[first].time <= 20 else { break }
      let kept = (moments[last].total - moments[first].total) / 10 / Double(rate)
      guard abs(kept - 1) > 0.05 else { continue }
      Issue.record("\(kept) of the rate in the ten seconds from \(moments[first].time) on")
      return
    }
  }

  @Test("All get as much, though one reads records a thousand times as large as another")
  func fairness() {
    let (shares, _) = simulate(
      rate: 1 << 20, recordBytes: [100, 1000, 100_000, 10_000], standstill: 0.1, seconds: 20,
      seed: 7)
    let mean = shares.reduce(0, +) / 4
    for share in shares { #expect(abs(share / mean - 1) < 0.1, "shares were \(shares)") }
  }

  @Test("Who reads for several gets as much for each, and the rate is kept all the same")
  func weights() {
    let weights = [1, 3, 40, 8]
    let (shares, moments) = simulate(
      rate: 4 << 20, recordBytes: [1000, 100, 10_000, 300], weights: weights, standstill: 0.1,
      seconds: 20, seed: 9)
    let each = zip(shares, weights).map { $0 / Double($1) }
    let mean = shares.reduce(0, +) / 52
    for share in each { #expect(abs(share / mean - 1) < 0.1, "shares were \(each)") }
    #expect(abs(moments.last!.total / 20 / Double(4 << 20) - 1) < 0.05)
  }

  @Test("Who reads records without a byte, tombstones without a key, keeps its claim")
  func emptyRecords() {
    let clock = Clock()
    let throttle = Throttle(bytesPerSecond: 100_000) { clock.now }
    let readers = [throttle.reader(), throttle.reader()]
    var random = RecordGenerator(seed: 8)
    var taken = [0, 0]
    for _ in 0..<20_000 {
      clock.advance(.milliseconds(1))
      for (index, reader) in readers.enumerated() {
        guard let portion = throttle.portion(for: reader), portion > 0 else { continue }
        let isEmpty = index == 0 && Int.random(in: 0..<3, using: &random) == 0
        let bytes = isEmpty ? 0 : [100, 9000][index]
        throttle.spend(bytes, for: reader)
        taken[index] += bytes
      }
    }
    #expect(abs(Double(taken[0]) / Double(taken[1]) - 1) < 0.1, "\(taken)")
  }

  @Test("One that has nothing to read, or has gone away, takes nothing from the others")
  func idle() {
    let clock = Clock()
    let throttle = Throttle(bytesPerSecond: 100_000) { clock.now }
    let (busy, idle, gone) = (throttle.reader(), throttle.reader(), throttle.reader())
    clock.advance(.milliseconds(100))
    for reader in [busy, idle, gone] { throttle.spend(10, for: reader) }
    var taken = 0
    for _ in 0..<5000 {
      clock.advance(.milliseconds(2))
      if throttle.portion(for: idle)! > 0 { throttle.spend(nil, for: idle) }
      guard throttle.portion(for: busy)! > 0 else { continue }
      throttle.spend(500, for: busy)
      taken += 500
    }
    #expect(abs(Double(taken) / 1_000_000 - 1) < 0.05, "\(taken) bytes in ten seconds")
  }

  @Test("A pause saves up a quarter of a second's bytes at most, taken in small portions")
  func savings() {
    let clock = Clock()
    let throttle = Throttle(bytesPerSecond: 100_000) { clock.now }
    let reader = throttle.reader()
    clock.advance(.seconds(60))
    for _ in 0..<25 {
      #expect(throttle.portion(for: reader) == 1000)
      throttle.spend(1000, for: reader)
    }
    #expect(throttle.portion(for: reader) == 0)
  }

  @Test("A changed rate holds at once, and no rate is no limit")
  func change() {
    let clock = Clock()
    let throttle = Throttle(bytesPerSecond: 1000) { clock.now }
    let reader = throttle.reader()
    clock.advance(.seconds(1))
    throttle.spend(1_000_000, for: reader)
    #expect(throttle.portion(for: reader) == 0)
    throttle.bytesPerSecond = 10_000
    #expect(throttle.portion(for: reader) == 0)
    clock.advance(.milliseconds(20))
    #expect(throttle.portion(for: reader) == 100)
    throttle.bytesPerSecond = nil
    #expect(throttle.portion(for: reader) == nil)
  }
}
