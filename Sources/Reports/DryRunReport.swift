/// What a migration would do, as found on the live clusters without changing anything.
package struct DryRunReport: Codable, Sendable {
  package struct Topic: Codable, Sendable {
    package let topic: String
    package let target: String
    package let stage: String
    package let owner: String
    package let partitions: Int32
    /// Offsets between log start and end: records, at most.
    package let records: Int64
    package let targetState: String
    package let config: [String: String]

    package init(
      topic: String, target: String, stage: String, owner: String, partitions: Int32,
      records: Int64, targetState: String, config: [String: String]
    ) {
      self.topic = topic
      self.target = target
      self.stage = stage
      self.owner = owner
      self.partitions = partitions
      self.records = records
      self.targetState = targetState
      self.config = config
    }
  }

  package struct Group: Codable, Sendable {
    package let group: String
    package let stage: String
    package let owner: String
    package let state: String
    package let members: Int
    package let lag: Int64
    package let missingCommits: [String]
    package let failureMode: String?

    package init(
      group: String, stage: String, owner: String, state: String, members: Int, lag: Int64,
      missingCommits: [String], failureMode: String?
    ) {
      self.group = group
      self.stage = stage
      self.owner = owner
      self.state = state
      self.members = members
      self.lag = lag
      self.missingCommits = missingCommits
      self.failureMode = failureMode
    }
  }

  package struct Stage: Codable, Sendable {
    package let stage: String
    package let gates: [String]
    /// In order: what Ferry will do, and with which hook.
    package let steps: [String]
    package let wayBack: [String]
    /// While only the groups are on the target; empty where all clients move together.
    package let earlyWayBack: [String]

    package init(
      stage: String, gates: [String], steps: [String], wayBack: [String], earlyWayBack: [String]
    ) {
      self.stage = stage
      self.gates = gates
      self.steps = steps
      self.wayBack = wayBack
      self.earlyWayBack = earlyWayBack
    }
  }

  package let migration: String
  package let change: String?
  package let planDigest: String
  package let topics: [Topic]
  package let groups: [Group]
  package let stages: [Stage]
  /// What stops the run as things are.
  package let blockers: [String]
  package let findings: [String]

  package init(
    migration: String, change: String?, planDigest: String, topics: [Topic], groups: [Group],
    stages: [Stage], blockers: [String], findings: [String]
  ) {
    self.migration = migration
    self.change = change
    self.planDigest = planDigest
    self.topics = topics
    self.groups = groups
    self.stages = stages
    self.blockers = blockers
    self.findings = findings
  }
}

extension DryRunReport {
  /// The report as Markdown, which also reads well as plain text.
  package var markdown: String {
    var text = "# Dry run of \(migration)\n\n"
    if let change { text += "Change: \(change)  \n" }
    text += "Plan digest: `\(planDigest)`  \nNothing was written to either cluster.\n"
    text += section("Blockers", blockers.isEmpty ? ["none"] : blockers)
    if !findings.isEmpty { text += section("Findings", findings) }
    text += "\n## Topics\n\n"
    text += Table.markdown(
      ["stage", "topic", "target", "owner", "partitions", "records", "on the target"],
      topics.map {
        [
          $0.stage, $0.topic, $0.target, $0.owner, "\($0.partitions)", "\($0.records)",
          $0.targetState,
        ]
      })
    text += "\n## Groups\n\n"
    text += Table.markdown(
      ["stage", "group", "owner", "state", "members", "lag", "if it goes wrong"],
      groups.map {
        [
          $0.stage, $0.group, $0.owner, $0.state, "\($0.members)", "\($0.lag)",
          $0.failureMode ?? "-",
        ]
      })
    for stage in stages {
      text += "\n## Stage \(stage.stage)\n"
      text += section("Gates", stage.gates.isEmpty ? ["none"] : stage.gates, level: 3)
      text += section("Steps", stage.steps, level: 3, numbered: true)
      if !stage.earlyWayBack.isEmpty {
        text += section(
          "Way back before the producers follow", stage.earlyWayBack, level: 3, numbered: true)
      }
      text += section("Way back after the switch", stage.wayBack, level: 3, numbered: true)
    }
    return text
  }

  private func section(
    _ title: String, _ lines: [String], level: Int = 2, numbered: Bool = false
  ) -> String {
    let heading = "\n\(String(repeating: "#", count: level)) \(title)\n\n"
    let items = lines.enumerated().map { index, line in
      (numbered ? "\(index + 1). " : "- ") + line
    }
    return heading + items.joined(separator: "\n") + "\n"
  }
}

/// Aligned tables.
package enum Table {
  /// A Markdown table whose columns line up in plain text, too.
  package static func markdown(_ heads: [String], _ rows: [[String]]) -> String {
    guard !rows.isEmpty else { return "none\n" }
    let widths = heads.indices.map { column in
      max(3, heads[column].count, rows.map { $0[column].count }.max() ?? 0)
    }
    func line(_ cells: [String]) -> String {
      "| "
        + zip(cells, widths).map { cell, width in
          cell + String(repeating: " ", count: width - cell.count)
        }.joined(separator: " | ") + " |\n"
    }
    return line(heads) + line(widths.map { String(repeating: "-", count: $0) })
      + rows.map(line).joined()
  }
}
