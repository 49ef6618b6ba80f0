extension Finding {
  /// Everything worth saying about a valid plan, in the order of the plan.
  static func lint(_ plan: MigrationPlan.Body) -> [Finding] {
    let topics = lintRules(
      plan.topics.map { ($0.selector, $0.location) }, "topic",
      listed: plan.stages.flatMap(\.topics))
    let groups = lintRules(
      plan.groups.map { ($0.selector, $0.location) }, "group",
      listed: plan.stages.flatMap(\.groups))
    let rules =
      plan.topics.flatMap(lint) + plan.groups.flatMap(lint)
      + plan.stages.flatMap { lintPrincipals($0, plan) }
    return (topics + groups + rules + plan.stages.flatMap(lint)).sorted {
      ($0.location.line, $0.location.column, $0.code)
        < ($1.location.line, $1.location.column, $1.code)
    }
  }

  /// Rules that come to nothing.
  private static func lintRules(
    _ rules: [(selector: Selector, location: SourceLocation)], _ kind: String, listed: [Selector]
  ) -> [Finding] {
    var findings: [Finding] = []
    for (index, rule) in rules.enumerated() {
      if let name = rule.selector.literal,
        let first = rules[..<index].first(where: { $0.selector.matches(name) })
      {
        findings.append(
          Finding(
            severity: .warning, code: "shadowed-rule",
            message: "\(kind) \(name) follows the rule in line \(first.location.line): "
              + "the first rule that fits is the one that counts", location: rule.location))
      }
      if !listed.contains(where: { PlanParser.canMeet($0, rule.selector) }) {
        findings.append(
          Finding(
            severity: .warning, code: "not-in-a-stage",
            message: "\(kind) \(rule.selector.text) is in no stage: it is not moved",
            location: rule.location))
      }
    }
    return findings
  }

  private static func lint(_ rule: TopicRule) -> [Finding] {
    var findings: [Finding] = []
    if rule.isRekeyed {
      findings.append(
        Finding(
          severity: .note, code: "rekey",
          message: "topic \(rule.selector.text) is rekeyed (murmur2, as Java clients do): "
            + "offsets of its partitions do not correspond one to one; a group continues at the "
            + "last cut at or before its commits, and reads at most one round of some 10,000 records again, "
            + "none where it was drained; producers that choose partitions otherwise have to be "
            + "set to murmur2", location: rule.location))
    }
    guard rule.selector.literal == nil, RenameTemplate(rule.rename)?.highestGroup == nil else {
      return findings
    }
    return findings + [
      Finding(
        severity: .warning, code: "rename-collides",
        message: "every topic that \(rule.selector.text) matches would be named \(rule.rename): "
          + "use `$0`, `$1` ... in `rename`", location: rule.location)
    ]
  }

  private static func lint(_ group: GroupRule) -> [Finding] {
    var findings: [Finding] = []
    let name = group.selector.text
    if group.pause == nil || group.resume == nil {
      findings.append(
        Finding(
          severity: .warning, code: "no-pause-or-resume",
          message: "group \(name) has no `pause` or no `resume` hook: "
            + "somebody else has to stop and start it in time", location: group.location))
    }
    if group.verify == nil {
      findings.append(
        Finding(
          severity: .note, code: "no-verify",
          message: "group \(name) has no `verify`: that it works on the target is not checked",
          location: group.location))
    }
    if group.failureMode == nil {
      findings.append(
        Finding(
          severity: .note, code: "no-failure-mode",
          message: "group \(name) has no `failureMode`: a reviewer cannot see what is at stake",
          location: group.location))
    }
    return findings
  }

  /// Ferry itself has to write behind the fence: with the reverse mirror, and when the stage is tried
  /// again.
  private static func lintPrincipals(_ stage: StagePlan, _ plan: MigrationPlan.Body) -> [Finding] {
    guard case .denyWrite(let principals) = stage.fence else { return [] }
    let own = [plan.source, plan.target].compactMap { cluster -> String? in
      guard case .literal(let user) = cluster.client["sasl.username"] else { return nil }
      return "User:\(user)"
    }
    guard let hit = principals.first(where: { $0 == "User:*" || own.contains($0) }) else {
      return []
    }
    return [
      Finding(
        severity: .warning, code: "fences-ferry",
        message:
          "stage \(stage.name) denies \(hit) to write, which means Ferry's own mirror as well, "
          + "unless it is a super user", location: stage.location)
    ]
  }

  private static func lint(_ stage: StagePlan) -> [Finding] {
    var findings: [Finding] = []
    if !stage.gates.contains(where: { if case .approvals = $0 { true } else { false } }) {
      findings.append(
        Finding(
          severity: .warning, code: "no-approvals",
          message: "stage \(stage.name) has no `approvals` gate: it cuts over by itself",
          location: stage.location))
    }
    if case .hook(let fence) = stage.fence, case .manual = fence.action {
      findings.append(
        Finding(
          severity: .warning, code: "manual-fence",
          message: "stage \(stage.name) has a manual fence: "
            + "producers stand still for as long as a person takes", location: stage.location))
    }
    if case .hook = stage.fence, stage.unfence == nil {
      findings.append(
        Finding(
          severity: .note, code: "no-unfence",
          message: "stage \(stage.name) has no `unfence`: "
            + "its fence hook has to honour FERRY_ACTION=unfence", location: stage.location))
    }
    return findings
  }
}
