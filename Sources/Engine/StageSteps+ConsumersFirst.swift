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
    var watch = Stopwatch()
    try await ensureMirrors()
    try await awaitSettledMirror()
    try await checkGatesAgain()
    watch.lap("mirror runs, gates still open")
    try await pauseGroups(.source)
    watch.lap("groups paused")
    var evidence = try await carryCommits(.forward, &watch) {
      try await context.movingSources(.forward)
    }
    evidence.parts = watch.parts
    return evidence
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
    var watch = Stopwatch()
    if wasBegun(.fence) { _ = try await release() }
    // The last records that a group read may not be in the map yet.
    try await ensureMirrors()
    watch.lap("fence lifted, mirror runs")
    try await pauseGroups(.target)
    watch.lap("groups paused")
    var evidence = try await carryCommits(.reverse, &watch) {
      try await context.movingSources(.reverse)
    }
    evidence.parts = watch.parts
    return evidence
  }
}

extension StageContext {
  /// As ``translationSources(_:)``, while the forward mirror runs: where the logs end says nothing then,
  /// so all is taken from the map, at one moment.
  func movingSources(_ direction: Direction) async throws -> TranslationTable {
    let store = try JournalMapStore(ledger)
    let admin = clusters.logs(direction.destination)
    let names = partitions(on: direction.destination)
    let starts = try await steadily { try await admin.offsets(.start, of: names) }
    let known = try store.mapsAndStates(of: partitions, .forward)
    let sources = partitions.compactMap { partition -> TranslationSource? in
      guard let (map, state) = known[partition] else { return nil }
      // The next record that the mirror copies: where it is read, and where it will stand.
      let next: [ClusterRole: Offset] = [
        .source: state.position, .target: state.expectedEnd(.forward),
      ]
      return TranslationSource(
        map: map, source: partition, target: targetName(of: partition),
        destinationStart: starts[name(of: partition, on: direction.destination)] ?? Offset(0),
        destinationEnd: next[direction.destination]!, covered: next[direction.origin],
        forwarded: forwardedStrays(in: map, partition))
    }
    return TranslationTable(sources, direction)
  }
}
