internal import Yams

/// Turns a plan's text into its meaning and collects every problem on the way.
final class PlanParser {
  let file: String
  private(set) var problems: [PlanProblem] = []

  init(file: String) { self.file = file }

  func location(of node: Node) -> SourceLocation {
    SourceLocation(file: file, line: node.mark?.line ?? 1, column: node.mark?.column ?? 1)
  }

  func problem(_ node: Node, _ message: String) { problem(location(of: node), message) }

  func problem(_ location: SourceLocation, _ message: String) {
    problems.append(PlanProblem(location, message))
  }

  /// Returns `nil` where there is nothing to make sense of; ``problems`` says why.
  func parse(_ yaml: String) -> MigrationPlan.Body? {
    let root: Node
    do {
      guard let node = try Yams.compose(yaml: yaml) else {
        problem(SourceLocation(file: file, line: 1, column: 1), "the plan is empty")
        return nil
      }
      root = node
    } catch {
      problems.append(syntaxProblem(error))
      return nil
    }
    guard
      let reader = MappingReader(
        root, self, what: "a plan",
        keys: [
          "ferry", "migration", "change", "clusters", "topics", "groups", "mirror", "validate",
          "stages",
        ])
    else { return nil }
    if let version = reader.requiredString("ferry"), version != "v1" {
      problem(reader["ferry"]!, "this Ferry reads plans of version v1, not `\(version)`")
      return nil
    }
    var body = MigrationPlan.Body()
    body.name = name(reader.required("migration"), "migration") ?? ""
    body.change = reader.string("change")
    clusters(reader.required("clusters"), &body)
    body.topics = requiredList(reader, "topics").compactMap(topicRule)
    body.groups = reader.list("groups").compactMap(groupRule)
    mirror(reader["mirror"], &body.mirror)
    validation(reader["validate"], &body.validate)
    body.stages = requiredList(reader, "stages").compactMap(stage)
    checkStages(body, reader["stages"])
    return body
  }

  private func syntaxProblem(_ error: any Error) -> PlanProblem {
    if let error = error as? YamlError {
      switch error {
      case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
        .composer(_, let problem, let mark, _):
        return PlanProblem(
          SourceLocation(file: file, line: mark.line, column: mark.column),
          "not valid YAML: \(problem)")
      case .duplicatedKeysInMapping(let duplicates, let context):
        return PlanProblem(
          SourceLocation(file: file, line: context.mark.line, column: context.mark.column),
          "the key `\(duplicates.map { $0.description }.joined(separator: "`, `"))` stands twice in the mapping that begins here"
        )
      default: break
      }
    }
    return PlanProblem(
      SourceLocation(file: file, line: 1, column: 1), "not valid YAML: \(error)")
  }

  private func requiredList(_ reader: MappingReader, _ key: String) -> [Node] {
    guard let node = reader.required(key) else { return [] }
    let nodes = list(node, key)
    if nodes.isEmpty { problem(node, "`\(key)` needs at least one entry") }
    return nodes
  }

  func name(_ node: Node?, _ key: String) -> String? {
    guard let node, let text = string(node, key) else { return nil }
    let isPlain = text.utf8.allSatisfy {
      UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= $0
        || UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 || "._-".utf8.contains($0)
    }
    guard isPlain, text.utf8.count <= 200 else {
      problem(node, "`\(key)` may hold letters, digits, dots, dashes and underscores, 200 at most")
      return nil
    }
    return text
  }

  private func clusters(_ node: Node?, _ body: inout MigrationPlan.Body) {
    guard let reader = MappingReader(node, self, what: "`clusters`", keys: ["source", "target"])
    else { return }
    let source = cluster(reader.required("source"), "source")
    let target = cluster(reader.required("target"), "target")
    guard let source, let target else { return }
    if source.bootstrap.contains(where: target.bootstrap.contains) {
      problem(
        reader["target"]!, "source and target name the same broker: they have to be two clusters")
    }
    body.source = source
    body.target = target
  }

  private func cluster(_ node: Node?, _ what: String) -> ClusterPlan? {
    guard
      let reader = MappingReader(node, self, what: "`\(what)`", keys: ["bootstrap", "client"])
    else { return nil }
    guard let bootstrapNode = reader.required("bootstrap") else { return nil }
    var bootstrap: [String] = []
    for entry in list(bootstrapNode, "bootstrap") {
      guard let text = string(entry, "bootstrap") else { continue }
      let parts = text.split(separator: ":")
      if parts.count < 2 || UInt16(parts.last!) == nil {
        problem(entry, "`\(text)` is not host:port")
      }
      bootstrap.append(text)
    }
    if bootstrap.isEmpty { problem(bootstrapNode, "`bootstrap` needs at least one host:port") }
    var client: [String: PropertyValue] = [:]
    for (property, text) in strings(reader["client"], "client") {
      if text.hasPrefix("env:") {
        client[property] = .environment(String(text.dropFirst(4)))
      } else if text.hasPrefix("file:") {
        client[property] = .file(String(text.dropFirst(5)))
      } else if ClusterPlan.isSecret(property) {
        problem(
          reader["client"]!,
          "`\(property)` is a secret: refer to it as env:NAME or file:PATH instead of writing it down"
        )
      } else {
        client[property] = .literal(text)
      }
    }
    return ClusterPlan(bootstrap: bootstrap, client: client)
  }

  private func mirror(_ node: Node?, _ mirror: inout MirrorPlan) {
    guard
      let reader = MappingReader(node, self, what: "`mirror`", keys: ["rate", "lanes", "memory"])
    else { return }
    mirror.bytesPerSecond = reader["rate"].flatMap { size($0, "rate", suffix: "/s") }
    if let lanes = reader["lanes"], lanes.string != "auto" {
      mirror.lanes = integer(lanes, "lanes", atLeast: 1).map { Int($0) }
    }
    if let memory = reader["memory"].flatMap({ size($0, "memory") }) { mirror.memoryBytes = memory }
  }

  private func validation(_ node: Node?, _ validate: inout ValidatePlan) {
    guard let reader = MappingReader(node, self, what: "`validate`", keys: ["mode", "rate"]) else {
      return
    }
    if let mode = reader.string("mode"), mode != "full" {
      problem(reader["mode"]!, "validation mode `\(mode)` is not supported: use `full`")
    }
    validate.bytesPerSecond = reader["rate"].flatMap { size($0, "rate", suffix: "/s") }
  }
}
