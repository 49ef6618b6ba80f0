internal import Foundation
internal import Yams

extension PlanParser {
  func topicRule(_ node: Node) -> TopicRule? {
    guard
      let reader = MappingReader(
        node, self, what: "a topic rule",
        keys: [
          "name", "match", "owner", "rename", "partitions", "replication", "config", "start",
          "order", "priority", "onGap", "onNewPartitions",
        ])
    else {
      choices.unreadable.insert(.topic)
      return nil
    }
    let selector = selector(reader, .topic)
    let owner = reader.requiredString("owner")
    var partitions = TopicRule.Partitions.same
    if let node = reader["partitions"], node.scalar?.string != "same",
      let count = integer(node, "partitions", 1...Int64(Int32.max), or: "same")
    {
      partitions = .count(Int(count))
    }
    let order = reader.string("order")
    if let node = reader["order"], let order, !["partition", "rekey"].contains(order) {
      unknownWord(node, "order", order, ["partition", "rekey"])
    }
    let replication = reader.integer("replication", 1...Int64(Int16.max)).map { Int($0) }
    let config = strings(reader["config"], "config").mapValues(\.text)
    let start = reader["start"].flatMap(start) ?? .earliest
    let priority = reader.integer("priority", 0...100).map { Int($0) } ?? 0
    let onGap = reader.choice("onGap", default: TopicRule.Gap.stop)
    let onNewPartitions = reader.choice("onNewPartitions", default: TopicRule.NewPartitions.stop)
    let rename = reader["rename"].flatMap { self.rename($0, selector) } ?? "$0"
    if order == "rekey", let node = reader["order"] {
      checkRekey(node, partitions, config, onGap, onNewPartitions)
    }
    guard let selector, let owner else { return nil }
    return TopicRule(
      selector: selector, owner: owner, rename: rename, partitions: partitions,
      replication: replication, config: config, start: start, priority: priority, onGap: onGap,
      onNewPartitions: onNewPartitions, isRekeyed: order == "rekey", location: location(of: node))
  }

  /// What cannot be had together with `order: rekey`.
  private func checkRekey(
    _ node: Node, _ partitions: TopicRule.Partitions, _ config: [String: String],
    _ onGap: TopicRule.Gap, _ onNewPartitions: TopicRule.NewPartitions
  ) {
    if case .same = partitions {
      problem(
        node,
        "`order: rekey` is for another number of partitions: set `partitions`, or leave it out")
    }
    if config["cleanup.policy"]?.contains("compact") == true {
      problem(
        node, "a compacted topic cannot be rekeyed: leave `order: rekey` out, or `compact`")
    }
    if onGap == .accept {
      problem(node, "`onGap: accept` cannot be had with `order: rekey`: leave one of them out")
    }
    if onNewPartitions == .mirror {
      problem(
        node, "`onNewPartitions: mirror` cannot be had with `order: rekey`: leave one of them out")
    }
  }

  private func start(_ node: Node) -> TopicRule.Start? {
    guard let text = string(node, "start") else { return nil }
    switch text {
    case "earliest": return .earliest
    case "latest": return .latest
    default: break
    }
    if text.allSatisfy({ $0.isASCII && $0.isNumber }), let milliseconds = Int64(text) {
      return .timestamp(milliseconds)
    }
    if let date = try? Date(text, strategy: .iso8601), date.timeIntervalSince1970 >= 0 {
      return .timestamp(Int64(date.timeIntervalSince1970) * 1000)
    }
    problem(
      node,
      "`start` has to be earliest, latest, milliseconds since 1970 or a time such as "
        + "2026-01-31T12:00:00Z, not `\(text)`"
        + Spelling.suggestion(for: text, in: ["earliest", "latest"]))
    return nil
  }

  /// - Parameter selector: says how many capture groups there are; `nil` where it could not be read.
  private func rename(_ node: Node, _ selector: Selector?) -> String? {
    guard let text = string(node, "rename") else { return nil }
    guard let template = RenameTemplate(text) else {
      problem(node, "`rename`: a `$` needs a number behind it: `$0` is the source's name")
      return nil
    }
    if let selector, let highest = template.highestGroup, highest > selector.groupCount {
      problem(
        node,
        "`rename` uses `$\(highest)`, but `\(selector.text)` has "
          + (selector.groupCount == 0 ? "no groups" : "groups up to `$\(selector.groupCount)`"))
    }
    if !Self.isPlainName(template.literals) {
      problem(node, "`rename`: a topic's name holds letters, digits, dots, dashes and underscores")
    }
    if case .text(let start) = template.parts.first, start.hasPrefix("__") {
      problem(
        node, "`rename`: topics that begin with `__` are Kafka's own and are never written to")
    }
    return text
  }
}
