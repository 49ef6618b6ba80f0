internal import Foundation
internal import Kafka

/// Time and processor time of this process from a moment on.
struct ProcessUsage {
  private let start = ContinuousClock.now
  private let cpuStart = Self.cpuSeconds

  var elapsed: (seconds: Double, cpuSeconds: Double) {
    ((ContinuousClock.now - start) / .seconds(1), Self.cpuSeconds - cpuStart)
  }

  private static var cpuSeconds: Double {
    var usage = rusage()
    _ = unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    return seconds(usage.ru_utime) + seconds(usage.ru_stime)
  }

  /// The largest resident memory since the last reset, in bytes (`proc(5)`, `VmHWM`).
  static var peakMemory: Int64 { memory("VmHWM:") }

  private static func memory(_ name: String) -> Int64 {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix(name) }
    return (line?.split(separator: " ").dropFirst().first.flatMap { Int64($0) } ?? 0) << 10
  }

  /// Gives back what was freed, and begins a new peak (`proc(5)`, `clear_refs`).
  ///
  /// Returns: resident memory now (`VmRSS`), in bytes.
  static func resetPeakMemory() -> Int64 {
    FreedMemory.giveBack()
    try? Data("5".utf8).write(to: URL(fileURLWithPath: "/proc/self/clear_refs"))
    return memory("VmRSS:")
  }
}
