internal import Cutover
internal import Foundation
internal import Kafka
internal import KafkaModel
internal import Plan

/// Putting the plan's fence up, and lifting it.
extension StageSteps {
  /// Returns: notes for the journal.
  func raiseFence(_ cluster: ClusterRole) async throws -> [String] {
    switch context.stage.fence {
    case .hook(let hook):
      try await context.call(hook, .fence, cluster)
      return []
    case .denyWrite(let principals):
      return try await denyWrites(of: principals, on: cluster)
    }
  }

  func liftFence(_ cluster: ClusterRole) async throws {
    switch context.stage.fence {
    case .hook(let hook): try await context.call(context.stage.unfence ?? hook, .unfence, cluster)
    case .denyWrite: try await removeRules(from: cluster)
    }
    await context.during("unfenced")
  }

  /// Denies the principals, on the canary's topic first: what is denied to Ferry itself shows there,
  /// before any producer is stopped.
  private func denyWrites(
    of principals: [String], on cluster: ClusterRole
  ) async throws -> [String] {
    let canary = context.canary.topic
    try await createCanary(on: cluster)
    // The way back rests on the other cluster's fence: better refused now than stuck there.
    for role in ClusterRole.allCases { _ = try await fenceRules(principals, on: role) }
    let rules = try await fenceRules(principals, on: cluster)
    if rules.own != context.ledger.fenceRules(context.stage.name, cluster) {
      try context.ledger.record(
        .fenceRules, stage: context.stage.name, FenceRules(cluster: cluster, rules: rules.own))
    }
    await context.during("rulesNoted")
    try await add(rules.own.filter { $0.topic == canary }, to: cluster)
    await context.during("canaryDenied")
    try await probeOwnWrites(on: cluster)
    try await add(rules.own.filter { $0.topic != canary }, to: cluster)
    await context.during("denied")
    var notes = ["\(rules.own.count) rules deny \(principals.joined(separator: ", ")) to write"]
    if !rules.foreign.isEmpty {
      notes.append(
        "\(rules.foreign.count) of the rules wanted are somebody else's: they stay when the fence is lifted"
      )
    }
    return notes
  }

  /// Throws: ``EngineError/fenceLocksOut(topics:cluster:)``.
  private func fenceRules(
    _ principals: [String], on cluster: ClusterRole
  ) async throws -> FenceRuleSet {
    let admin = context.clusters.admin(cluster)
    let present = try await context.steadily { try await admin.topicACLs() }
    let rules = FenceRuleSet(
      topics: Set(context.partitions(on: cluster).map(\.topic)), canary: context.canary.topic,
      principals: principals, present: present,
      held: context.ledger.fenceRules(context.stage.name, cluster))
    guard rules.open.isEmpty else {
      throw EngineError.fenceLocksOut(topics: rules.open, cluster: cluster.rawValue)
    }
    return rules
  }

  /// Adds rules, openings first, and sees them there.
  private func add(_ rules: Set<TopicACL>, to cluster: ClusterRole) async throws {
    let admin = context.clusters.admin(cluster)
    let ordered = rules.filter { !$0.isDenied } + rules.filter(\.isDenied)
    try await context.steadily { try await admin.createACLs(ordered) }
    try await wait(.seconds(20)) {
      try await context.steadily { try await admin.topicACLs() }.isSuperset(of: rules)
    } onTimeout: {
      KafkaError.timedOut("see \(rules.count) ACLs that were added", cluster: cluster.rawValue)
    }
  }

  /// Removes exactly what this fence added, openings last, and sees it gone.
  private func removeRules(from cluster: ClusterRole) async throws {
    let rules = context.ledger.fenceRules(context.stage.name, cluster)
    if !rules.isEmpty {
      let admin = context.clusters.admin(cluster)
      let ordered = rules.filter(\.isDenied) + rules.filter { !$0.isDenied }
      try await context.steadily { try await admin.deleteACLs(ordered) }
      try await wait(.seconds(20)) {
        try await context.steadily { try await admin.topicACLs() }.isDisjoint(with: rules)
      } onTimeout: {
        KafkaError.timedOut("see \(rules.count) ACLs gone", cluster: cluster.rawValue)
      }
    }
    await context.during("allowed")
    guard !rules.isEmpty else { return }
    try context.ledger.record(
      .fenceRules, stage: context.stage.name, FenceRules(cluster: cluster, rules: []))
  }

  /// Writes behind a fence of Ferry's own, as the reverse mirror will have to.
  ///
  /// Throws: ``EngineError/fencesFerry(cluster:)``.
  func probeOwnWrites(on cluster: ClusterRole) async throws {
    guard case .denyWrite = context.stage.fence else { return }
    let record = Record(
      key: nil, value: Array("fence probe".utf8),
      timestamp: Int64(Date().timeIntervalSince1970 * 1000))
    let canary = context.canary
    let connection = context.clusters.connection(cluster)
    // An idempotent producer would only say that it has ended, not why.
    let plain = ["enable.idempotence": "false", "enable.gapless.guarantee": "false"]
    do {
      _ = try await context.steadily {
        try await RecordWriter(connection, properties: plain).write(record, to: canary)
      }
    } catch let error as KafkaError where error.isAuthorization {
      throw EngineError.fencesFerry(cluster: cluster.rawValue)
    }
  }
}

/// The rules that a fence needs on a cluster, and whose they are.
struct FenceRuleSet {
  /// To be added and removed by this fence.
  let own: Set<TopicACL>
  /// Wanted, but there already.
  let foreign: Set<TopicACL>
  /// Topics to which no rule of anybody applies. A cluster may let in everyone there
  /// (`allow.everyone.if.no.acl.found`), and one denial would end that for all others, readers too.
  let open: [String]

  /// - Parameters:
  ///   - canary: Ferry's own topic; nothing is lost in letting everyone in there.
  ///   - present: all rules on topics that the cluster has.
  ///   - held: those of them that this fence added before, or may have.
  init(
    topics: Set<String>, canary: String, principals: [String], present: Set<TopicACL>,
    held: Set<TopicACL>
  ) {
    let others = present.subtracting(held)
    func isOpen(_ topic: String) -> Bool { !others.contains { $0.applies(to: topic) } }
    var wanted = Set(
      topics.union([canary]).flatMap { topic in
        principals.map {
          TopicACL(topic: topic, principal: $0, operation: .write, isDenied: true)
        }
      })
    if isOpen(canary) {
      wanted.insert(
        TopicACL(topic: canary, principal: "User:*", operation: .all, isDenied: false))
    }
    own = wanted.subtracting(others).union(held)
    foreign = wanted.intersection(others)
    open = topics.filter(isOpen).sorted()
  }
}
