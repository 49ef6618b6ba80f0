internal import Cutover
package import Engine

/// The status in Prometheus' text format.
package enum PrometheusText {
  package static func render(_ status: MigrationStatus) -> String {
    var text = ""
    func metric(
      _ name: String, _ help: String, _ value: (MigrationStatus.Stage) -> [(String, String)]
    ) {
      text += "# HELP \(name) \(help)\n# TYPE \(name) gauge\n"
      for stage in status.stages {
        for (labels, number) in value(stage) {
          text +=
            "\(name){migration=\"\(escape(status.migration))\",stage=\"\(escape(stage.stage))\"\(labels)} \(number)\n"
        }
      }
    }
    metric("ferry_stage_state", "1 for the state that the stage is in.") { stage in
      Phase.allCases.map { (",state=\"\($0.rawValue)\"", $0 == stage.state ? "1" : "0") }
    }
    metric("ferry_stage_records", "Records stored by the mirror that runs.") {
      [("", String($0.records))]
    }
    metric("ferry_stage_bytes", "Key and value bytes stored by the mirror that runs.") {
      [("", String($0.bytes))]
    }
    metric("ferry_stage_lag_records", "Offsets that are not mirrored yet.") { stage in
      stage.lag.map { [("", String($0))] } ?? []
    }
    metric("ferry_stage_faults", "Partitions whose mirror stopped.") {
      [("", String($0.faults.count))]
    }
    metric("ferry_stage_failed", "1 where the stage stopped and waits for a person.") {
      [("", $0.failure == nil ? "0" : "1")]
    }
    func topicMetric(_ name: String, _ help: String, _ value: (TopicStatus) -> Double?) {
      metric("ferry_topic_\(name)", help) { stage in
        stage.topics.compactMap { topic in
          value(topic).map { (",topic=\"\(escape(topic.topic))\"", number($0)) }
        }
      }
    }
    topicMetric("position", "Next offsets to read, summed over partitions.") { Double($0.position) }
    topicMetric("lag_records", "Offsets that are not mirrored yet.") { Double($0.lag) }
    topicMetric("lag_seconds", "Age of what is mirrored last, where more follows.") {
      $0.lagSeconds
    }
    topicMetric("records_per_second", "Records stored a second.") { $0.recordsPerSecond }
    topicMetric("bytes_per_second", "Key and value bytes stored a second.") { $0.bytesPerSecond }
    topicMetric("eta_seconds", "Until it is caught up; absent where that is not in sight.") {
      $0.etaSeconds
    }
    topicMetric("overtaken_seconds", "Until retention drops records before they are mirrored.") {
      $0.overtakenSeconds
    }
    text += "# HELP ferry_engine_up 1 while an engine runs.\n# TYPE ferry_engine_up gauge\n"
    text +=
      "ferry_engine_up{migration=\"\(escape(status.migration))\"} \(status.engine == nil ? 0 : 1)\n"
    return text
  }

  /// Prometheus takes any decimal number; whole ones are easier to read without a fraction.
  private static func number(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
  }

  /// A label's value: backslash, quote and line feed are escaped (Prometheus exposition format).
  private static func escape(_ text: String) -> String {
    text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
  }
}
