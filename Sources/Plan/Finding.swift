/// A remark on a plan that is valid.
package struct Finding: Hashable, Sendable, Codable {
  package enum Severity: String, Hashable, Sendable, Codable {
    case warning
    case note
  }

  package let severity: Severity
  package let message: String

  static func lint(_ plan: MigrationPlan.Body) -> [Finding] {
    var findings: [Finding] = []
    for stage in plan.stages {
      if !stage.gates.contains(where: { if case .approvals = $0 { true } else { false } }) {
        findings.append(
          Finding(
            severity: .warning,
            message: "stage \(stage.name) has no `approvals` gate: it cuts over by itself"))
      }
      if case .manual = stage.fence.action {
        findings.append(
          Finding(
            severity: .warning,
            message:
              "stage \(stage.name) has a manual fence: producers stand still for as long as a person takes"
          ))
      }
      if stage.unfence == nil {
        findings.append(
          Finding(
            severity: .note,
            message:
              "stage \(stage.name) has no `unfence`: its fence hook has to honour FERRY_ACTION=unfence"
          ))
      }
    }
    for group in plan.groups {
      if group.pause == nil || group.resume == nil {
        findings.append(
          Finding(
            severity: .warning,
            message:
              "group \(group.selector.text) has no `pause` or no `resume` hook: somebody else has to stop and start it in time"
          ))
      }
      if group.verify == nil {
        findings.append(
          Finding(
            severity: .note,
            message:
              "group \(group.selector.text) has no `verify`: that it works on the target is not checked"
          ))
      }
    }
    return findings
  }
}
