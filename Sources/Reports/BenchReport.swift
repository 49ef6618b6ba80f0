internal import Foundation

/// What `ferry bench` measured on one pair of clusters.
package struct BenchReport: Codable, Sendable {
  /// One way of copying all records once.
  package struct Copy: Codable, Sendable {
    package var seconds: Double
    /// User and system time of this process while it copied.
    package var cpuSeconds: Double
    package var records: Int64
    package var bytes: Int64

    package init(seconds: Double, cpuSeconds: Double, records: Int64, bytes: Int64) {
      self.seconds = seconds
      self.cpuSeconds = cpuSeconds
      self.records = records
      self.bytes = bytes
    }

    package var recordsPerSecond: Double { Double(records) / seconds }
    package var bytesPerSecond: Double { Double(bytes) / seconds }
    package var recordsPerCPUSecond: Double { Double(records) / max(cpuSeconds, 0.001) }
  }

  /// Milliseconds.
  package struct Latency: Codable, Sendable {
    package let p50: Double
    package let p99: Double
    package let max: Double

    /// - Parameter samples: in nanoseconds.
    package init?(samples: [Int64]) {
      guard !samples.isEmpty else { return nil }
      let sorted = samples.sorted()
      func at(_ share: Double) -> Double {
        Double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]) / 1e6
      }
      p50 = at(0.5)
      p99 = at(0.99)
      max = Double(sorted[sorted.count - 1]) / 1e6
    }

    package init(p50: Double, p99: Double, max: Double) {
      self.p50 = p50
      self.p99 = p99
      self.max = max
    }
  }

  /// Replication of a live tail.
  package struct Tail: Codable, Sendable {
    package let recordsPerSecond: Int
    package let records: Int
    /// From writing a record to reading it from the source, without Ferry.
    package let source: Latency
    /// From writing a record to the source to reading it from the target.
    package let target: Latency
    /// Ferry's own share: from the moment in which librdkafka gave a record out to the one in which it
    /// took it again, to be produced. `nil` where nothing was measured.
    package let handling: Latency?
    /// As ``handling``, and before it the longest that a record can have waited because Ferry was busy.
    package let keeping: Latency?
    /// The 99th percentile of each second and broker, ascending, of the time that a request to the target
    /// waited to be sent (librdkafka `outbuf_latency`), in milliseconds. It waits while five others to that
    /// broker are not answered (`enable.idempotence`). Batching comes before it: `linger.ms`.
    package let sendP99s: [Double]

    package init(
      recordsPerSecond: Int, records: Int, source: Latency, target: Latency, handling: Latency?,
      keeping: Latency?, sendP99s: [Double]
    ) {
      self.recordsPerSecond = recordsPerSecond
      self.records = records
      self.source = source
      self.target = target
      self.handling = handling
      self.keeping = keeping
      self.sendP99s = sendP99s.sorted()
    }
  }

  package let recordBytes: Int
  package let partitions: Int32
  package let idlePartitions: Int32
  package let codec: String
  package let lanes: Int
  /// Partitions that the mirror dealt the records to by their keys; `nil` where it copied each partition to
  /// one of the same number.
  package let rekeyTo: Int32?
  /// A consume-produce loop without offset map, digests or journal, one thread; a run each round.
  package var bare: [Copy] = []
  /// Ferry's mirror, with all of them; a run each round.
  package var mirror: [Copy] = []
  package var tail: Tail?
  /// The process's largest resident memory while Ferry's mirror copied, in bytes, and what of it the
  /// process held right before: of the round with the largest difference.
  package var peakMemory: Int64 = 0
  package var startMemory: Int64 = 0
  /// Topics that could not be deleted again, by cluster.
  package var left: [String] = []

  package init(
    recordBytes: Int, partitions: Int32, idlePartitions: Int32, codec: String, lanes: Int,
    rekeyTo: Int32? = nil
  ) {
    self.recordBytes = recordBytes
    self.partitions = partitions
    self.idlePartitions = idlePartitions
    self.codec = codec
    self.lanes = lanes
    self.rekeyTo = rekeyTo
  }

  /// Ferry's speed as a share of the bare loop's: the median of the rounds.
  package var speedRatio: Double? {
    Self.median(zip(mirror, bare).map { $0.recordsPerSecond / $1.recordsPerSecond })
  }

  /// As ``speedRatio``, of records a CPU second.
  package var cpuRatio: Double? {
    Self.median(zip(mirror, bare).map { $0.recordsPerCPUSecond / $1.recordsPerCPUSecond })
  }

  static func median(_ values: [Double]) -> Double? {
    guard !values.isEmpty else { return nil }
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }
}

extension BenchReport {
  /// For people.
  package var text: String {
    let records = bare.first?.records ?? 0
    let idle = idlePartitions > 0 ? " and \(idlePartitions) idle ones" : ""
    let rekeyed = rekeyTo.map { ", rekeyed to \($0)" } ?? ""
    var text =
      "\(records) records of \(recordBytes) bytes in \(partitions) partitions\(idle)\(rekeyed), codec \(codec), "
      + "\(lanes) lane\(lanes == 1 ? "" : "s"), \(bare.count) rounds\n\n"
    text += Table.markdown(
      ["", "records/s", "MB/s", "records/CPU-s"],
      [row("bare loop", bare), row("ferry", mirror)])
    func percent(_ value: Double?) -> String {
      value.map { String(format: "%.2f", $0) } ?? "-"
    }
    text += "\nratio: \(percent(speedRatio)) of the bare loop's speed, "
    text += "\(percent(cpuRatio)) of its records per CPU second (medians)\n"
    text += "memory: \(startMemory >> 20) MiB before, \(peakMemory >> 20) MiB at the peak, "
    text += "\((peakMemory - startMemory) >> 20) MiB for the mirror\n"
    if let tail {
      func show(_ latency: Latency, _ digits: Int = 1) -> String {
        String(
          format: "p50 %.\(digits)f ms, p99 %.\(digits)f ms, max %.\(digits)f ms", latency.p50,
          latency.p99, latency.max)
      }
      text += "\ntail of \(tail.recordsPerSecond) records/s, \(tail.records) records:\n"
      text += "  written to readable on the source: \(show(tail.source))\n"
      text += "  written to readable on the target: \(show(tail.target))\n"
      if let handling = tail.handling {
        text += "  ferry's share, from consume to produce:  \(show(handling, 3))\n"
      }
      if let keeping = tail.keeping {
        text += "    with waiting for ferry, at most:       \(show(keeping, 3))\n"
      }
      if let worst = tail.sendP99s.last {
        text += String(
          format:
            "  requests to the target waited to be sent: p99 of a second: median %.1f ms, worst %.1f ms\n",
          tail.sendP99s[tail.sendP99s.count / 2], worst)
      }
    }
    text +=
      left.isEmpty
      ? "\nIts topics were deleted again.\n" : "\nLeft behind: \(left.joined(separator: ", "))\n"
    return text
  }

  private func row(_ name: String, _ copies: [Copy]) -> [String] {
    func median(_ value: (Copy) -> Double) -> Double { Self.median(copies.map(value)) ?? 0 }
    return [
      name, String(format: "%.0f", median(\.recordsPerSecond)),
      String(format: "%.1f", median(\.bytesPerSecond) / 1e6),
      String(format: "%.0f", median(\.recordsPerCPUSecond)),
    ]
  }
}
