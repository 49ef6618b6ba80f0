internal import Foundation
internal import Yams

extension PlanParser {
  func gate(_ node: Node) -> Gate? {
    let kinds = [
      "lagBelow", "drainWithin", "approvals", "validated", "window", "exec", "http", "manual",
    ]
    guard
      let reader = MappingReader(node, self, what: "a gate", keys: kinds + ["for", "timeout"]),
      let kind = reader.exactlyOne(of: kinds), let value = reader[kind]
    else { return nil }
    if let sustained = reader["for"], kind != "lagBelow" {
      problem(sustained, "`for` goes with `lagBelow` only")
    }
    if let timeout = reader["timeout"], kind != "exec", kind != "http" {
      problem(timeout, "`timeout` goes with `exec` and `http` only")
    }
    switch kind {
    case "lagBelow":
      let sustained = reader.duration("for") ?? .zero
      return reader.integer(kind, 0...Int64.max).map { .lagBelow($0, sustained: sustained) }
    case "drainWithin":
      return reader.duration(kind, atLeast: .milliseconds(1)).map { .drainWithin($0) }
    case "approvals": return reader.integer(kind, 1...100).map { .approvals(Int($0)) }
    case "validated":
      return reader.duration(kind, atLeast: .milliseconds(1000)).map { .validated(within: $0) }
    case "window": return window(value).map { .window($0) }
    default:
      let timeout = reader.duration("timeout", atLeast: .milliseconds(1)) ?? .seconds(60)
      return hookAction(kind, value).map { .hook(Hook(action: $0, timeout: timeout)) }
    }
  }

  private func window(_ node: Node) -> ChangeWindow? {
    guard
      let reader = MappingReader(
        node, self, what: "`window`", keys: ["days", "from", "to", "zone"])
    else { return nil }
    let zone = reader.required("zone").flatMap(zone)
    let from = reader["from"].map { time($0, "from") } ?? 0
    let to = reader["to"].map { time($0, "to") } ?? 24 * 60
    let days = reader["days"].map { list($0, "days").compactMap(day) } ?? ChangeWindow.Day.allCases
    if days.isEmpty, let node = reader["days"] { problem(node, "`days` needs at least one entry") }
    guard let zone, let from, let to else { return nil }
    if from == to, let node = reader["to"] ?? reader["from"] {
      problem(node, "`from` and `to` are the same: leave both out for whole days")
    }
    return ChangeWindow(days: days, from: from, to: to, zone: zone)
  }

  private func day(_ node: Node) -> ChangeWindow.Day? {
    guard let text = string(node, "days") else { return nil }
    if let day = ChangeWindow.Day(rawValue: text) { return day }
    unknownWord(node, "days", text, ChangeWindow.Day.allCases.map(\.rawValue))
    return nil
  }

  private func zone(_ node: Node) -> String? {
    guard let text = string(node, "zone") else { return nil }
    guard TimeZone(identifier: text) != nil else {
      let near = Spelling.suggestion(for: text, in: TimeZone.knownTimeZoneIdentifiers)
      problem(
        node, "`zone` has to be a time zone such as Europe/Berlin or UTC, not `\(text)`\(near)")
      return nil
    }
    return text
  }

  /// `HH:MM`, in minutes.
  private func time(_ node: Node, _ key: String) -> Int? {
    guard let text = string(node, key) else { return nil }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, parts.allSatisfy({ $0.count == 2 && $0.allSatisfy(\.isNumber) }),
      let hours = Int(parts[0]), let minutes = Int(parts[1]), minutes < 60,
      hours * 60 + minutes <= 24 * 60
    else {
      problem(node, "`\(key)` has to be a time such as 22:00, not `\(text)`")
      return nil
    }
    return hours * 60 + minutes
  }

  /// The stages that have to soak first. Names are checked when all are known.
  func predecessors(_ reader: MappingReader, of stage: String) -> [String]? {
    guard let node = reader["after"] else { return nil }
    return list(node, "after").compactMap { entry in
      guard let name = string(entry, "after") else { return nil }
      choices.dependencies.append((stage: stage, on: name, location: location(of: entry)))
      return name
    }
  }

  /// Stages that wait for each other would wait for ever.
  func checkDependencies(_ stages: [StagePlan]) {
    let names = choices.stages.map(\.name)
    var known = true
    for each in choices.dependencies where !names.contains(each.on) {
      known = false
      problem(
        each.location,
        "there is no stage `\(each.on)`" + Spelling.suggestion(for: each.on, in: names))
    }
    guard known else { return }
    let after = Dictionary(
      stages.map { ($0.name, StagePlan.predecessors(of: $0, in: stages)) },
      uniquingKeysWith: { first, _ in first })
    for each in choices.dependencies {
      var seen: Set<String> = []
      var open = [each.on]
      while let name = open.popLast() {
        guard seen.insert(name).inserted else { continue }
        open += after[name] ?? []
      }
      if seen.contains(each.stage) {
        problem(each.location, "stages `\(each.stage)` and `\(each.on)` would wait for each other")
      }
    }
  }
}
