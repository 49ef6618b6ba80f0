package import KafkaModel

/// Asks about and sets the commits of many groups at once, through several clients of a cluster.
///
/// A broker answers one connection's requests one after the other (it reads the next when it has answered
/// the last: `SocketServer` in Apache Kafka), and librdkafka 2.0.2 remembers the coordinators of eleven
/// groups, the last ones (`rd_kafka_coord_cache_add`): through a single client most requests wait for one
/// another, and each asks for its coordinator first.
package struct GroupAdmins: Sendable {
  private let admins: [Admin]
  /// A group's client is always the same one, which then knows its coordinator.
  private let places: [String: Int]

  package static let groupsPerClient = 10
  package static let mostClients = 8

  /// - Parameters:
  ///   - admin: the first client, which may serve other purposes too; the only one up to
  ///     ``groupsPerClient`` groups.
  ///   - groups: all that will be asked about; others are left to `admin`.
  /// Throws: ``KafkaError`` - a property is wrong. Does not wait for the cluster.
  package init(
    _ admin: Admin, _ connection: ClusterConnection, groups: [String]
  ) throws(KafkaError) {
    let wanted = (groups.count + Self.groupsPerClient - 1) / Self.groupsPerClient
    let count = max(1, min(Self.mostClients, wanted))
    var admins = [admin]
    while admins.count < count { admins.append(try Admin(connection)) }
    self.admins = admins
    places = Dictionary(groups.enumerated().map { ($1, $0 % count) }) { first, _ in first }
  }

  package var cluster: String { admins[0].cluster }

  /// As ``Admin/describeGroups(_:)``, in any order.
  package func describeGroups(_ groups: [String]) async throws -> [GroupDescription] {
    try await ask(groups) { try await $0.describeGroups($1) }.flatMap(\.self)
  }

  /// As ``Admin/committedOffsets(of:)-([String])``.
  package func committedOffsets(
    of groups: [String]
  ) async throws -> [String: [TopicPartition: Offset]] {
    try await ask(groups) { try await $0.committedOffsets(of: $1) }
      .reduce(into: [:]) { all, some in all.merge(some) { first, _ in first } }
  }

  /// As ``Admin/setCommittedOffsets(_:)``. Where one is refused others may have been set.
  package func setCommittedOffsets(_ offsets: [String: [TopicPartition: Offset]]) async throws {
    _ = try await ask(Array(offsets.keys)) { admin, groups in
      let share = groups.map { ($0, offsets[$0] ?? [:]) }
      try await admin.setCommittedOffsets(Dictionary(uniqueKeysWithValues: share))
    }
  }

  /// Asks each client about its groups, all at once; waits for all answers also where one is an error.
  private func ask<Answer: Sendable>(
    _ groups: [String],
    _ question: @escaping @Sendable (Admin, [String]) async throws -> Answer
  ) async throws -> [Answer] {
    let shares = Dictionary(grouping: groups) { places[$0] ?? 0 }
    return try await withThrowingTaskGroup(of: Answer.self) { tasks in
      for (place, share) in shares {
        tasks.addTask { try await question(admins[place], share) }
      }
      var answers: [Answer] = []
      for try await answer in tasks { answers.append(answer) }
      return answers
    }
  }
}
