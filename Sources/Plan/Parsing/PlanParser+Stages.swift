internal import KafkaModel
internal import Yams

extension PlanParser {
  func stage(_ node: Node) -> StagePlan? {
    guard
      let reader = MappingReader(
        node, self, what: "a stage",
        keys: [
          "stage", "topics", "groups", "strategy", "after", "fence", "unfence", "stability",
          "gates", "switch", "soak", "rollbackOn", "strays", "extendRetention",
        ])
    else { return nil }
    let name = reader.required("stage").flatMap { self.name($0, "stage") }
    if let name { choices.stages.append((name, location(of: reader["stage"] ?? node))) }
    let topics = selectors(reader.requiredList("topics"), "topics", .topic)
    let groups = selectors(reader.list("groups"), "groups", .group)
    let strategy = reader.choice("strategy", default: Strategy.together)
    let after = predecessors(reader, of: name ?? "")
    let fence = fence(reader.required("fence"))
    let unfence = hook(reader["unfence"], "unfence")
    if case .denyWrite = fence, let node = reader["unfence"] {
      problem(node, "`unfence` does not go with an `acl` fence: Ferry removes its own rules itself")
    }
    let stability = reader.duration("stability", atLeast: .milliseconds(1)) ?? .seconds(5)
    let gates = reader.list("gates").compactMap(gate)
    let switchClients = hook(reader.required("switch"), "switch")
    let soak = reader.duration("soak") ?? .seconds(1800)
    let rollbackOn = reader.list("rollbackOn").compactMap(trigger)
    let strays = reader.choice("strays", default: StrayPolicy.alert)
    let extendRetention = reader.boolean("extendRetention") ?? false
    guard let name, let fence, let switchClients else { return nil }
    return StagePlan(
      name: name, topics: topics, groups: groups, strategy: strategy, after: after, fence: fence,
      unfence: unfence, stability: stability, gates: gates, switchClients: switchClients,
      soak: soak, rollbackOn: rollbackOn, strays: strays, extendRetention: extendRetention,
      location: location(of: node))
  }

  private func trigger(_ node: Node) -> StagePlan.RollbackTrigger? {
    guard
      let reader = MappingReader(
        node, self, what: "a rollback trigger", keys: ["groupLagAbove", "for", "grace"])
    else { return nil }
    _ = reader.required("groupLagAbove")
    let sustained = reader.duration("for") ?? .seconds(60)
    let grace = reader.duration("grace") ?? .seconds(30)
    return reader.integer("groupLagAbove", 0...Int64.max).map {
      StagePlan.RollbackTrigger(groupLagAbove: $0, sustained: sustained, grace: grace)
    }
  }
}
