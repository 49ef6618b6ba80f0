internal import Cutover
internal import Foundation
internal import Journal
internal import Kafka
internal import KafkaModel
package import Logging
package import Plan
package import Reports

/// Looks at both clusters as a run would, and says what it would do. Writes nothing.
package enum DryRun {
  /// Throws: `PlanError`, ``EngineError``, `KafkaError`.
  ///
  /// - Parameter journalPath: of the migration, where it has begun: its own target topics are no
  ///   blockers.
  package static func report(
    _ plan: MigrationPlan, journalPath: String, logger: Logger
  ) async throws -> DryRunReport {
    let known = try knownTargets(journalPath)
    let clusters = try Clusters(plan, logger: logger)
    let estate = try await Estate.survey(plan, source: clusters.sourceAdmin)
    var blockers: [String] = []
    var topics: [DryRunReport.Topic] = []
    func isOurs(_ topic: PlannedTopic) -> Bool {
      known.contains(topic.target(of: TopicPartition(topic.name, 0)))
    }
    let target = try await TargetCheck.look(
      at: estate.topics, on: clusters, mayHoldRecords: isOurs)
    for topic in estate.topics {
      let bounds = try await clusters.sourceAdmin.bounds(of: topic.partitions)
      let drift = target.drift(of: topic)
      if let drift { blockers.append(drift.summary) }
      topics.append(
        DryRunReport.Topic(
          topic: topic.name, target: topic.targetName, stage: topic.stage, owner: topic.rule.owner,
          partitions: topic.partitionCount,
          records: bounds.values.reduce(Int64(0)) { $0 + ($1.end - $1.start) },
          targetState: drift != nil
            ? "not as planned"
            : isOurs(topic)
              ? "mirrored already" : target.isThere(topic) ? "exists, empty" : "will be created",
          config: topic.config))
    }
    let brokers = try await clusters.targetAdmin.brokerCount()
    for topic in estate.topics {
      if let replication = topic.rule.replication, replication > brokers {
        blockers.append(
          "topic \(topic.targetName) wants \(replication) replicas, the target has \(brokers) brokers"
        )
      }
    }
    var groups: [DryRunReport.Group] = []
    for (stage, names) in estate.groups.sorted(by: { $0.key < $1.key }) {
      for name in names {
        groups.append(
          try await group(name, stage, plan, estate.topics(of: stage), clusters, &blockers))
      }
    }
    let fences = try await FenceCheck.look(plan, estate, clusters)
    let retention = RetentionCheck.look(plan, estate)
    blockers += fences.blockers + retention.blockers
    let between = try await findings(plan, estate, clusters)
    return DryRunReport(
      migration: plan.name, change: plan.change, planDigest: plan.digest, topics: topics,
      groups: groups, stages: plan.stages.map { stage($0) }, blockers: blockers.sorted(),
      findings: try waivers(plan, journalPath) + estate.findings + between + fences.findings
        + retention.findings
        + plan.findings.map { "\($0.severity.rawValue): \($0.message)" })
  }

  private static func knownTargets(_ journalPath: String) throws -> Set<TopicPartition> {
    guard FileManager.default.fileExists(atPath: journalPath) else { return [] }
    let journal = try MigrationJournal.open(at: journalPath, mode: .readOnly)
    return Set(try journal.partitions().map(\.target))
  }

  private static func group(
    _ name: String, _ stage: String, _ plan: MigrationPlan, _ topics: [PlannedTopic],
    _ clusters: Clusters, _ blockers: inout [String]
  ) async throws -> DryRunReport.Group {
    let rule = plan.groupRule(for: name)
    let description = try await clusters.sourceAdmin.describeGroup(name)
    let commits = try await clusters.sourceAdmin.committedOffsets(of: name)
    let read = Set(commits.keys.map(\.topic))
    let partitions = topics.filter { read.contains($0.name) }.flatMap(\.partitions)
    let ends = try await clusters.sourceAdmin.offsets(.end, of: partitions)
    let missing = partitions.filter { commits[$0] == nil }
    if !missing.isEmpty, rule?.missingCommit == .error {
      blockers.append(
        "group \(name) has no commit for \(missing.map(\.description).joined(separator: ", ")); set `missingCommit`"
      )
    }
    if partitions.isEmpty, rule?.missingCommit == .error {
      blockers.append(
        "group \(name) has no commit for any of the topics of stage \(stage); take it out of the stage, or set `missingCommit`"
      )
    }
    let moved = Set(topics.map(\.name))
    for topic in read.subtracting(moved).sorted() where plan.topicRule(for: topic) != nil {
      blockers.append(
        "group \(name) of stage \(stage) also reads \(topic), which another stage moves")
    }
    let lag = partitions.reduce(Int64(0)) { sum, partition -> Int64 in
      guard let commit = commits[partition], let end = ends[partition] else { return sum }
      return sum + max(0, end - commit)
    }
    return DryRunReport.Group(
      group: name, stage: stage, owner: rule?.owner ?? "", state: description.state.rawValue,
      members: description.members.count, lag: lag, missingCommits: missing.map(\.description),
      failureMode: rule?.failureMode)
  }

  private static func stage(_ stage: StagePlan) -> DryRunReport.Stage {
    DryRunReport.Stage(
      stage: stage.name, gates: stage.gates.map(\.summary),
      steps: steps(from: .planned, stage) + [
        "soak for \(stage.soak), then a person says `ferry finalize`"
      ],
      wayBack: steps(from: .retreating, stage),
      earlyWayBack: stage.strategy == .together ? [] : steps(from: .recalling, stage))
  }

  /// The steps that the machine itself would perform from `phase` on: the same code as the run's.
  private static func steps(from phase: Phase, _ stage: StagePlan) -> [String] {
    stage.strategy.path(from: phase).map { describe($0.step, stage) }
  }

  private static func describe(_ step: Step, _ stage: StagePlan) -> String {
    let hook: String? =
      switch step {
      case .fence, .fenceTarget: stage.fence.summary
      case .switchClients, .returnClients: stage.switchClients.summary
      case .release: stage.unfence?.summary ?? stage.fence.summary
      default: nil
      }
    return "\(step.rawValue): \(step.summary)" + (hook.map { " (\($0))" } ?? "")
  }
}
