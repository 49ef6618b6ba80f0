import KafkaModel
import Mirror
import Testing

/// Samples once a second of a partition that moves evenly.
@Suite("Watching a partition")
struct PartitionWatchTests {
  private struct Course {
    var position = 0.0
    var end = 0.0
    var start = 0.0
    /// Seconds since 1970 of the next record to be mirrored.
    var timestamp = 0.0
    var speed = 0.0
    var growth = 0.0
    var loss = 0.0
    var timeSpeed = 0.0

    func watch(_ seconds: Int) -> PartitionWatch {
      func sample(_ time: Int) -> PartitionSample {
        let passed = Double(time)
        var progress = PartitionProgress(
          position: Offset(Int64(position + speed * passed)), destinationEnd: Offset(0))
        progress.records = Int64(speed * passed)
        progress.bytes = progress.records * 100
        progress.timestamp = Int64((timestamp + timeSpeed * passed) * 1000)
        return PartitionSample(
          progress, start: Offset(Int64(start + loss * passed)),
          end: Offset(Int64(end + growth * passed)))
      }
      var watch = PartitionWatch(sample(0), at: 1_000_000)
      for time in 1...seconds { watch.take(sample(time), at: 1_000_000 + Double(time)) }
      return watch
    }
  }

  @Test("Rates and the gain on the end are those of the last half minute")
  func rates() {
    let watch = Course(end: 10_000, speed: 50, growth: 20).watch(60)
    #expect(abs(watch.recordsPerSecond - 50) < 1)
    #expect(abs(watch.bytesPerSecond - 5000) < 100)
    #expect(abs(watch.gainPerSecond - 30) < 1)
    #expect(watch.sample.lag == 10_000 - 30 * 60)
  }

  @Test("The lag in seconds is the last record's age, but no more than since it was caught up")
  func lagSeconds() {
    #expect(Course(end: 100, timestamp: 999_000).watch(10).lagSeconds == 1010)
    #expect(Course(end: 0).watch(10).lagSeconds == 0)
    // Idle for long, then a record: its predecessor's age says nothing.
    var watch = Course(end: 0, timestamp: 0).watch(10)
    var behind = watch.sample
    behind.end = Offset(1)
    watch.take(behind, at: 1_000_012)
    #expect(watch.lagSeconds == 2)
  }

  @Test("Retention by time overtakes a mirror that is slower than time")
  func byAge() {
    // The next record is 600 s old, and grows older by half a second a second.
    let slow = Course(end: 1e6, timestamp: 999_400, speed: 10, timeSpeed: 0.5).watch(20)
    let headroom = 3600.0 - (600 + 20 * 0.5)
    #expect(abs(slow.overtaken(retention: 3600)! - headroom / 0.5) < 1)
    #expect(slow.overtaken(retention: nil) == nil)
    let fast = Course(end: 1e6, timestamp: 999_400, speed: 10, timeSpeed: 2).watch(20)
    #expect(fast.overtaken(retention: 3600) == nil)
    #expect(Course(end: 0).watch(20).overtaken(retention: 1) == nil, "there is nothing to lose")
    let late = Course(end: 1e6, timestamp: 990_000).watch(20)
    #expect(late.overtaken(retention: 3600) == 0)
  }

  @Test("A log start that comes nearer overtakes it as well, whatever moves it")
  func byStart() {
    let course = Course(
      position: 5000, end: 1e6, timestamp: 999_999, speed: 10, loss: 20, timeSpeed: 1)
    #expect(course.watch(60).overtaken(retention: nil) == nil, "too short a time to tell")
    let left = (5000.0 - 200 * 10) / 10
    #expect(abs(course.watch(200).overtaken(retention: nil)! - left) < 2)
  }

  @Test("A mirror that starts over is watched anew")
  func startsOver() {
    var watch = Course(end: 10_000, speed: 50).watch(60)
    var again = watch.sample
    again.records = 0
    watch.take(again, at: 1_000_070)
    #expect(watch.recordsPerSecond == 0)
    again.records = 700
    again.position = again.position + 700
    watch.take(again, at: 1_000_077)
    #expect(watch.recordsPerSecond == 100)
  }
}
