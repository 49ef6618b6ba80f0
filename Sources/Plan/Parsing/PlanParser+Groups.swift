internal import Yams

extension PlanParser {
  func groupRule(_ node: Node) -> GroupRule? {
    guard
      let reader = MappingReader(
        node, self, what: "a group rule",
        keys: [
          "name", "match", "owner", "engine", "missingCommit", "pause", "resume", "verify",
          "failureMode",
        ])
    else {
      choices.unreadable.insert(.group)
      return nil
    }
    let selector = selector(reader, .group)
    let owner = reader.requiredString("owner")
    let engine = reader.choice("engine", default: GroupRule.Engine.consumer)
    let missingCommit = reader.choice("missingCommit", default: GroupRule.MissingCommit.error)
    if engine != .consumer {
      for slot in ["pause", "resume"] where reader[slot] == nil {
        problem(node, "a group of engine `\(engine.rawValue)` needs a `\(slot)` hook")
      }
    }
    let pause = hook(reader["pause"], "pause")
    let resume = hook(reader["resume"], "resume")
    let verify = reader["verify"].flatMap(verify)
    let failureMode = reader.string("failureMode")
    guard let selector, let owner else { return nil }
    return GroupRule(
      selector: selector, owner: owner, engine: engine, missingCommit: missingCommit,
      pause: pause, resume: resume, verify: verify, failureMode: failureMode,
      location: location(of: node))
  }

  private func verify(_ node: Node) -> GroupRule.Verify? {
    guard
      let reader = MappingReader(node, self, what: "`verify`", keys: ["lagBelow", "within"])
    else { return nil }
    _ = reader.required("lagBelow")
    let within = reader.duration("within") ?? .seconds(60)
    return reader.integer("lagBelow", 0...Int64.max).map {
      GroupRule.Verify(lagBelow: $0, within: within)
    }
  }
}
