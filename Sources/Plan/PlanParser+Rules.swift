internal import Yams

extension PlanParser {
  private func selector(_ reader: MappingReader, _ node: Node) -> Selector? {
    switch (reader["name"], reader["match"]) {
    case (_?, nil): return reader.string("name").map { .name($0) }
    case (nil, let match?): return pattern(match, "match")
    default:
      problem(node, "a rule needs either `name` or `match`")
      return nil
    }
  }

  func topicRule(_ node: Node) -> TopicRule? {
    guard
      let reader = MappingReader(
        node, self, what: "a topic rule",
        keys: [
          "name", "match", "owner", "rename", "partitions", "replication", "config", "start",
          "order",
        ])
    else { return nil }
    let selector = selector(reader, node)
    let owner = reader.requiredString("owner")
    var partitions = TopicRule.Partitions.same
    if let count = reader["partitions"], count.string != "same" {
      if let number = integer(count, "partitions", atLeast: 1) { partitions = .count(Int(number)) }
    }
    if let order = reader["order"], order.string != "partition" {
      problem(order, "`order` is `partition`; repartitioning by key is not supported yet")
    }
    var start = TopicRule.Start.earliest
    if let from = reader["start"] {
      switch from.string {
      case "earliest": start = .earliest
      case "latest": start = .latest
      default:
        if let milliseconds = integer(from, "start", atLeast: 0) {
          start = .timestamp(milliseconds)
        }
      }
    }
    guard let selector, let owner else { return nil }
    return TopicRule(
      selector: selector, owner: owner, rename: reader.string("rename") ?? "$0",
      partitions: partitions,
      replication: reader.integer("replication", atLeast: 1).map { Int($0) },
      config: strings(reader["config"], "config"), start: start)
  }

  func groupRule(_ node: Node) -> GroupRule? {
    guard
      let reader = MappingReader(
        node, self, what: "a group rule",
        keys: [
          "name", "match", "owner", "engine", "missingCommit", "pause", "resume", "verify",
          "failureMode",
        ])
    else { return nil }
    let selector = selector(reader, node)
    let owner = reader.requiredString("owner")
    let engine = reader.choice("engine", default: GroupRule.Engine.consumer)
    let pause = hook(reader["pause"], "pause")
    let resume = hook(reader["resume"], "resume")
    if engine != .consumer {
      for slot in ["pause", "resume"] where reader[slot] == nil {
        problem(node, "a group of engine \(engine.rawValue) needs a `\(slot)` hook")
      }
    }
    var verify: GroupRule.Verify?
    if let check = MappingReader(
      reader["verify"], self, what: "`verify`", keys: ["lagBelow", "within"])
    {
      verify = GroupRule.Verify(
        lagBelow: check.integer("lagBelow") ?? 0, within: check.duration("within") ?? .seconds(60))
    }
    guard let selector, let owner else { return nil }
    return GroupRule(
      selector: selector, owner: owner, engine: engine,
      missingCommit: reader.choice("missingCommit", default: .error), pause: pause, resume: resume,
      verify: verify, failureMode: reader.string("failureMode"))
  }

  func stage(_ node: Node) -> StagePlan? {
    guard
      let reader = MappingReader(
        node, self, what: "a stage",
        keys: [
          "stage", "topics", "groups", "strategy", "fence", "unfence", "stability", "gates",
          "switch", "soak", "rollbackOn",
        ])
    else { return nil }
    let name = name(reader.required("stage"), "stage")
    if let strategy = reader["strategy"], strategy.string != "together" {
      problem(strategy, "strategy `\(strategy.string ?? "")` is not supported yet: use `together`")
    }
    let topics = reader.required("topics").map { list($0, "topics") } ?? []
    let fence = hook(reader.required("fence"), "fence")
    let switchClients = hook(reader.required("switch"), "switch")
    let unfence = hook(reader["unfence"], "unfence")
    guard let name, let fence, let switchClients else { return nil }
    return StagePlan(
      name: name, topics: topics.compactMap { pattern($0, "topics") },
      groups: reader.list("groups").compactMap { pattern($0, "groups") }, fence: fence,
      unfence: unfence, stability: reader.duration("stability") ?? .seconds(5),
      gates: reader.list("gates").compactMap(gate), switchClients: switchClients,
      soak: reader.duration("soak") ?? .seconds(1800),
      rollbackOn: reader.list("rollbackOn").compactMap(trigger))
  }

  private func gate(_ node: Node) -> Gate? {
    let kinds = ["lagBelow", "drainWithin", "approvals"]
    guard let reader = MappingReader(node, self, what: "a gate", keys: kinds + ["for"]) else {
      return nil
    }
    let given = kinds.filter { reader[$0] != nil }
    guard given.count == 1 else {
      problem(node, "a gate is exactly one of \(kinds.joined(separator: ", "))")
      return nil
    }
    if let sustained = reader["for"], given[0] != "lagBelow" {
      problem(sustained, "`for` goes with `lagBelow` only")
    }
    switch given[0] {
    case "lagBelow":
      return reader.integer("lagBelow").map {
        .lagBelow($0, sustained: reader.duration("for") ?? .zero)
      }
    case "drainWithin": return reader.duration("drainWithin").map { .drainWithin($0) }
    default: return reader.integer("approvals", atLeast: 1).map { .approvals(Int($0)) }
    }
  }

  private func trigger(_ node: Node) -> StagePlan.RollbackTrigger? {
    guard
      let reader = MappingReader(
        node, self, what: "a rollback trigger", keys: ["groupLagAbove", "for"]),
      reader.required("groupLagAbove") != nil, let lag = reader.integer("groupLagAbove")
    else { return nil }
    return StagePlan.RollbackTrigger(
      groupLagAbove: lag, sustained: reader.duration("for") ?? .seconds(60))
  }

  func checkStages(_ body: MigrationPlan.Body, _ node: Node?) {
    guard let node else { return }
    var seen: Set<String> = []
    for stage in body.stages where !seen.insert(stage.name).inserted {
      problem(node, "two stages are named `\(stage.name)`")
    }
  }
}
