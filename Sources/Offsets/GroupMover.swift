package import Kafka
package import KafkaModel

/// Why a group's offsets could not be carried over. Nothing was lost: commits stand where they stood.
package enum GroupError: Error, Hashable, Sendable {
  /// Clients are still in the group.
  case active(group: String, cluster: String, members: [String])
  case uncommitted(group: String, partitions: [TopicPartition])
  /// The group has no commit on any of the topics: nothing says where it would go on.
  case neverCommitted(group: String, cluster: String)
  /// What was read back differs from what was written.
  case notKept(group: String, partition: TopicPartition, written: Offset, read: Offset?)
  /// The group's commits changed after they were read: a client still commits.
  case moved(group: String, partition: TopicPartition)
  /// The group has read records that the running mirror has not noted.
  case beyondMap(group: String, partition: TopicPartition, commit: Offset, covered: Offset)
}

extension GroupError: OperatorError {
  package var summary: String {
    switch self {
    case .active(let group, let cluster, let members):
      "group \(group) still has members on the \(cluster) cluster: \(members.joined(separator: ", "))"
    case .uncommitted(let group, let partitions):
      "group \(group) has no commit for \(partitions.map(\.description).joined(separator: ", ")), though it reads the topic"
    case .neverCommitted(let group, let cluster):
      "group \(group) has no commit on the \(cluster) cluster for any of the topics that move with it"
    case .notKept(let group, let partition, let written, let read):
      "group \(group): wrote offset \(written) for \(partition), but read back \(read?.description ?? "none")"
    case .moved(let group, let partition):
      "group \(group) committed \(partition) again after its final commits were read: a client still runs"
    case .beyondMap(let group, let partition, let commit, let covered):
      "group \(group) has committed offset \(commit) of \(partition), but the mirror knows it up to \(covered) only"
    }
  }

  package var hint: String {
    switch self {
    case .active: "stop the named clients, or mend the group's `pause:` hook, then try again"
    case .uncommitted: "let the group commit on every partition, then try again"
    case .beyondMap:
      "look at the mirror in `ferry status`; where it runs, correct the group's commit, then try again"
    case .neverCommitted:
      "let the group commit, take it out of the stage, or set `missingCommit` to `earliest` or `latest`: then nothing is written for it"
    case .notKept, .moved: "find out who else writes this group's offsets, stop it, then try again"
    }
  }

  package var runbook: String? { "group-not-empty.md" }
}

/// Carries groups' commits from one cluster to the other, all groups at once: each question is asked for
/// all of them before an answer is waited for.
package struct GroupMover: Sendable {
  private let origin: GroupAdmins
  private let destination: GroupAdmins

  package init(origin: GroupAdmins, destination: GroupAdmins) {
    self.origin = origin
    self.destination = destination
  }

  /// Waits until no client is in any of the groups on the origin.
  ///
  /// Throws: ``GroupError/active(group:cluster:members:)`` - after `patience`; or ``KafkaError``.
  package func awaitVacant(_ groups: [String], patience: Duration) async throws {
    let deadline = ContinuousClock.now + patience
    var waiting = groups
    var pause = Duration.milliseconds(5)
    while true {
      let busy = try await origin.describeGroups(waiting).filter { !$0.isVacant }
      guard let first = busy.first else { return }
      guard ContinuousClock.now < deadline else {
        throw GroupError.active(
          group: first.name, cluster: origin.cluster,
          members: first.members.map { "\($0.clientID) at \($0.host)" })
      }
      waiting = busy.map(\.name)
      try await Task.sleep(for: pause)
      pause = min(pause * 2, .milliseconds(100))
    }
  }

  /// Reads the groups' final commits, translates, writes and reads back. The groups have to be vacant.
  /// Nothing is written unless the commits of every group can be translated.
  ///
  /// - Parameters:
  ///   - policies: by group; `error` where there is none.
  ///   - onWritten: called between writing and reading back.
  /// Returns: by group.
  /// Throws: ``GroupError``, ``KafkaError``; ``GroupError/beyondMap(group:partition:commit:covered:)``
  /// passes as the mirror goes on.
  package func move(
    _ groups: [String], partitions: TranslationTable, policies: [String: MissingCommitPolicy],
    onWritten: () async -> Void = {}
  ) async throws -> [GroupTranslation] {
    let commits = try await origin.committedOffsets(of: groups)
    var translations: [GroupTranslation] = []
    var wanted: [String: [TopicPartition: Offset]] = [:]
    for group in groups {
      let (translation, offsets) = try translate(
        group, commits[group] ?? [:], partitions, policies[group] ?? .error)
      translations.append(translation)
      wanted[group] = offsets
    }
    try await destination.setCommittedOffsets(wanted)
    await onWritten()
    // A client that outlived its pause could have committed meanwhile.
    async let readBack = destination.committedOffsets(of: groups)
    async let readAgain = origin.committedOffsets(of: groups)
    let (kept, again) = try await (readBack, readAgain)
    for (group, offsets) in wanted.sorted(by: { $0.key < $1.key }) {
      let kept = kept[group] ?? [:]
      for (partition, offset) in offsets.sorted(by: { $0.key < $1.key })
      where kept[partition] != offset {
        throw GroupError.notKept(
          group: group, partition: partition, written: offset, read: kept[partition])
      }
    }
    for group in groups {
      if let moved = again[group]?.first(where: { commits[group]?[$0.key] != $0.value }) {
        throw GroupError.moved(group: group, partition: moved.key)
      }
    }
    return translations
  }

  /// What has to be written for one group.
  private func translate(
    _ group: String, _ commits: [TopicPartition: Offset], _ partitions: TranslationTable,
    _ policy: MissingCommitPolicy
  ) throws(GroupError) -> (GroupTranslation, [TopicPartition: Offset]) {
    let direction = partitions.direction
    let sources = partitions.sources(for: commits)
    let rekeyed = partitions.rekeyed(for: commits)
    for partition in sources {
      let name = partition.partition(on: direction.origin)
      guard let covered = partition.covered, let commit = commits[name], commit > covered else {
        continue
      }
      throw .beyondMap(group: group, partition: name, commit: commit, covered: covered)
    }
    if policy == .error, rekeyed.isEmpty,
      !sources.contains(where: { commits[$0.partition(on: direction.origin)] != nil })
    {
      throw .neverCommitted(group: group, cluster: origin.cluster)
    }
    let translation = GroupTranslation(
      group: group, commits: commits, partitions: partitions, policy: policy)
    guard translation.uncommitted.isEmpty else {
      throw .uncommitted(group: group, partitions: translation.uncommitted)
    }
    var offsets: [TopicPartition: Offset] = [:]
    for partition in sources {
      guard let offset = translation.offsets[partition.source] else { continue }
      offsets[partition.partition(on: direction.destination)] = offset.destination
    }
    for topic in rekeyed {
      guard let place = translation.rekeyed[topic.source] else { continue }
      for (number, offset) in place.cut.ends(on: direction.destination).enumerated() {
        offsets[TopicPartition(topic.name(on: direction.destination), Int32(number))] = offset
      }
    }
    return (translation, offsets)
  }
}
