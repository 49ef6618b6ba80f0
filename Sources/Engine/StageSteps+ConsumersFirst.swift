internal import Cutover
internal import Kafka
internal import KafkaModel
internal import Mirror
internal import Offsets
internal import Plan

/// Steps of stages whose groups move before their producers. The forward mirror runs meanwhile.
extension StageSteps {
  /// Pauses the groups on the source and carries their commits over. What a group had read ahead of the
  /// mirror is waited for: the map has to reach its commits.
  func carryGroups() async throws -> Evidence {
    try await ensureMirrors()
    try await awaitSettledMirror()
    try await pauseGroups(.source)
    return try await carryCommits(.forward) { try await context.movingSources(.forward) }
  }

  /// Resumes the groups on the target and sees each keep its promise there.
  func moveGroups() async throws -> Evidence {
    try await ensureMirrors()
    try await resumeGroups(.target)
    var evidence = Evidence()
    evidence.notes = try await verifyGroups().notes
    return evidence
  }

  /// Waits for people to approve that the producers follow, and for the mirror to be close enough.
  func follow() async throws -> Evidence {
    try await ensureMirrors()
    try await awaitSettledMirror()
    return try await awaitGates("approval that the producers follow")
  }

  /// Lets the producers go on first, if they were fenced; then takes the groups back. The commits that
  /// they made on the target stand at records of the source, so this is a translation alone.
  func recallGroups() async throws -> Evidence {
    if wasBegun(.fence) { _ = try await release() }
    // The last records that a group read may not be in the map yet.
    try await ensureMirrors()
    try await pauseGroups(.target)
    return try await carryCommits(.reverse) { try await context.movingSources(.reverse) }
  }
}

extension StageContext {
  /// As ``translationSources(_:)``, while the forward mirror runs: where the logs end says nothing then,
  /// so all is taken from the map, at one moment.
  func movingSources(_ direction: Direction) async throws -> [TranslationSource] {
    let store = try JournalMapStore(ledger)
    let admin = clusters.logs(direction.destination)
    let names = partitions(on: direction.destination)
    let starts = try await steadily { try await admin.offsets(.start, of: names) }
    return try partitions.map { partition in
      let (map, state) = try store.mapAndState(of: partition, .forward)
      // The next record that the mirror copies: where it is read, and where it will stand.
      let next: [ClusterRole: Offset] = [
        .source: state.position, .target: state.expectedEnd(.forward),
      ]
      return TranslationSource(
        map: map, source: partition, target: targetName(of: partition),
        destinationStart: starts[name(of: partition, on: direction.destination)] ?? Offset(0),
        destinationEnd: next[direction.destination]!, covered: next[direction.origin])
    }
  }
}
