internal import Yams

extension PlanParser {
  /// A rule's `name` or `match`.
  func selector(_ reader: MappingReader, _ kind: PlanChoices.Kind) -> Selector? {
    guard let key = reader.exactlyOne(of: ["name", "match"]), let node = reader[key] else {
      choices.unreadable.insert(kind)
      return nil
    }
    let selector = key == "name" ? string(node, key).map { .name($0) } : pattern(node, key)
    guard let selector else {
      choices.unreadable.insert(kind)
      return nil
    }
    if kind == .topic, selector.literal?.hasPrefix("__") == true {
      problem(node, "topics that begin with `__` are Kafka's own and are never moved")
    }
    choices.rules.append(
      PlanChoices.Choice(kind: kind, selector: selector, location: location(of: node)))
    return selector
  }

  /// The entries of a stage's list.
  func selectors(_ nodes: [Node], _ key: String, _ kind: PlanChoices.Kind)
    -> [Selector]
  {
    nodes.compactMap { node in
      guard let selector = pattern(node, key) else { return nil }
      choices.entries.append(
        PlanChoices.Choice(
          kind: kind, selector: selector, location: location(of: node)))
      return selector
    }
  }

  /// An anchored regular expression.
  private func pattern(_ node: Node, _ key: String) -> Selector? {
    guard let text = string(node, key) else { return nil }
    do {
      _ = try Regex(text)
      return .match(text)
    } catch {
      problem(node, "`\(text)` is not a regular expression: \(error)")
      return nil
    }
  }

  /// What no rule or stage can tell alone.
  func checkChoices() {
    for (index, stage) in choices.stages.enumerated() {
      if let first = choices.stages[..<index].first(where: { $0.name == stage.name }) {
        problem(
          stage.location, "there is a stage `\(stage.name)` already, in line \(first.location.line)"
        )
      }
    }
    for kind in PlanChoices.Kind.allCases {
      let rules = choices.rules.filter { $0.kind == kind }
      let entries = choices.entries.filter { $0.kind == kind }
      checkRepetitions(rules, "the first \(kind.rawValue) rule that fits is the one that counts")
      checkRepetitions(entries, "a \(kind.rawValue) moves once")
      guard !choices.unreadable.contains(kind) else { continue }
      for entry in entries
      where !rules.contains(where: { Self.canMeet(entry.selector, $0.selector) }) {
        let known = rules.map(\.selector.text)
        problem(
          entry.location,
          "no \(kind.rawValue) rule covers `\(entry.selector.text)`"
            + Spelling.suggestion(for: entry.selector.text, in: known))
      }
    }
  }

  /// A stage's canary travels on `ferry.canary.MIGRATION.STAGE`, and a topic's name ends at 249
  /// characters. It is created when producers stand still already, so this must not wait till then.
  func checkCanaryNames(migration: String) {
    for stage in choices.stages
    where "ferry.canary.\(migration).\(stage.name)".utf8.count > 249 {
      problem(
        stage.location,
        "`migration` and `stage` together may have 235 characters at most: Ferry names a topic after them"
      )
    }
  }

  private func checkRepetitions(_ choices: [PlanChoices.Choice], _ reason: String) {
    for (index, choice) in choices.enumerated() {
      guard let first = choices[..<index].first(where: { $0.selector == choice.selector }) else {
        continue
      }
      problem(
        choice.location,
        "`\(choice.selector.text)` stands in line \(first.location.line) already: \(reason)")
    }
  }

  /// Whether some name could be chosen by both. Two expressions count as if one could.
  static func canMeet(_ left: Selector, _ right: Selector) -> Bool {
    switch (left.literal, right.literal) {
    case (let name?, _): right.matches(name)
    case (_, let name?): left.matches(name)
    default: true
    }
  }
}
