internal import Foundation
internal import Plan

/// Whether the source keeps its records for as long as a stage may go back to them.
enum RetentionCheck {
  static func look(
    _ plan: MigrationPlan, _ estate: Estate
  ) -> (blockers: [String], findings: [String]) {
    var blockers: [String] = []
    var findings: [String] = []
    for stage in plan.stages {
      for topic in estate.topics(of: stage.name) {
        guard let retention = topic.sourceRetention else { continue }
        if stage.extendRetention {
          findings.append(
            "source topic \(topic.name) keeps all records from the fence until stage \(stage.name) is finalized or back (`extendRetention`)"
          )
          continue
        }
        let way = "raise it, or let Ferry do so with `extendRetention: true`"
        if let kept = retention.milliseconds, .milliseconds(kept) < stage.soak {
          blockers.append(
            "source topic \(topic.name) keeps records for \(Duration.milliseconds(kept)), but stage \(stage.name) is to soak for \(stage.soak), and has to find them if it goes back: \(way)"
          )
        }
        if let bytes = retention.bytes {
          findings.append(
            "source topic \(topic.name) keeps \(bytes) bytes a partition: what is born during the soak may push out what a group has yet to read if stage \(stage.name) goes back; \(way)"
          )
        }
      }
    }
    return (blockers, findings)
  }
}
