internal import Cutover
internal import Kafka
internal import KafkaModel
internal import Mirror
internal import Offsets
internal import Plan

/// What going back would mean to groups if it began now.
struct RollbackCosts: Sendable {
  let wayBack: WayBack
  let groups: [RollbackForecast.Group]
  /// Groups whose commits could not be carried back.
  let blockers: [String]
}

extension StageSteps {
  /// Translates the groups' commits as they are now, as the way back would, and counts what each would
  /// read again or never.
  ///
  /// Returns: `nil` where nothing is to be undone.
  /// Throws: `KafkaError`, `JournalError` - nothing is known then.
  func rollbackCosts() async throws -> RollbackCosts? {
    let wayBack = context.machine.wayBack
    switch wayBack {
    case .nothingToUndo, .underway, .none: return nil
    case .withdraw:
      // Their commits on the source are not touched.
      return RollbackCosts(
        wayBack: wayBack,
        groups: context.groups.map { RollbackForecast.Group(group: $0, reRead: 0, skipped: 0) },
        blockers: [])
    case .recall, .retreat: break
    }
    // Commits first: what is read after that lies behind them.
    let commits = try await context.clusters.targetAdmin.committedOffsets(of: context.groups)
    let table =
      wayBack == .recall
      ? try await context.movingSources(.reverse) : try await sourcesAfterDraining()
    var groups: [RollbackForecast.Group] = []
    var blockers: [String] = []
    for group in context.groups {
      let policy = context.missingCommitPolicy(of: group)
      let own = commits[group] ?? [:]
      let translation = GroupTranslation(
        group: group, commits: own, partitions: table, policy: policy)
      if translation.offsets.isEmpty, policy == .error {
        blockers.append(GroupError.neverCommitted(group: group, cluster: "target").summary)
      } else if !translation.uncommitted.isEmpty {
        blockers.append(
          GroupError.uncommitted(group: group, partitions: translation.uncommitted).summary)
      }
      groups.append(RollbackForecast.Group(group, table.cost(of: translation)))
    }
    return RollbackCosts(wayBack: wayBack, groups: groups, blockers: blockers)
  }

  /// As ``StageContext/translationSources(_:)``, as if the reverse mirror had carried back all that stands
  /// on the target now.
  private func sourcesAfterDraining() async throws -> TranslationTable {
    let patience = Duration.seconds(5)
    let partitions = context.ordinaryPartitions
    let known = try JournalMapStore(context.ledger).mapsAndStates(of: partitions, .reverse)
    let ends = try await context.ends(on: .target, stable: true, patience: patience)
    let places = try await context.ends(on: .source, stable: false, patience: patience)
    let starts = try await context.clusters.sourceLogs.offsets(.start, of: partitions)
    let sources = partitions.compactMap { partition -> TranslationSource? in
      guard let found = known[partition] else { return nil }
      var map = found.map
      let state = found.state
      let strays = context.uncopiedStrays(in: map, partition)
      let forwarded = context.forwardedStrays(in: map, partition)
      let place = max(places[partition] ?? Offset(0), map.end(on: .source) ?? Offset(0))
      let left = max(0, (ends[partition] ?? state.position) - state.position)
      if left > 0 { try? map.append(source: place, target: state.position, count: left) }
      return TranslationSource(
        map: map, source: partition, target: state.target,
        destinationStart: starts[partition] ?? Offset(0), destinationEnd: place + left,
        strays: strays, forwarded: forwarded)
    }
    return TranslationTable(sources, .reverse, rekeyed: try context.rekeyTranslations())
  }
}

extension StageContext {
  func missingCommitPolicy(of group: String) -> MissingCommitPolicy {
    plan.groupRule(for: group).flatMap { MissingCommitPolicy(rawValue: $0.missingCommit.rawValue) }
      ?? .error
  }
}

extension RollbackForecast.Group {
  init(_ group: String, _ cost: (reRead: Int64, skipped: Int64)) {
    self.init(group: group, reRead: cost.reRead, skipped: cost.skipped)
  }
}
