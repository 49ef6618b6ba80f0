internal import Yams

/// Turns a plan's text into its meaning and collects every problem on the way.
final class PlanParser {
  let file: String
  private(set) var problems: [PlanProblem] = []
  /// What rules and stages choose, for the checks between them.
  var choices = PlanChoices()

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
    guard let root = compose(yaml), isReadableVersion(root) else { return nil }
    guard
      let reader = MappingReader(
        root, self, what: "a plan",
        keys: [
          "ferry", "migration", "change", "clusters", "topics", "groups", "mirror", "validate",
          "stages",
        ])
    else { return nil }
    _ = reader.required("ferry")
    var body = MigrationPlan.Body()
    body.name = reader.required("migration").flatMap { name($0, "migration") } ?? ""
    body.change = reader.string("change")
    clusters(reader.required("clusters"), &body)
    body.topics = reader.requiredList("topics").compactMap(topicRule)
    body.groups = reader.list("groups").compactMap(groupRule)
    mirror(reader["mirror"], &body.mirror)
    validation(reader["validate"], &body.validate)
    body.stages = reader.requiredList("stages").compactMap(stage)
    checkChoices()
    checkDependencies(body.stages)
    checkCanaryNames(migration: body.name)
    return body
  }

  /// A plan for another Ferry would give rise to problems that lead astray, so this comes first.
  private func isReadableVersion(_ root: Node) -> Bool {
    guard let version = root.mapping?["ferry"], !Self.isNull(version) else { return true }
    if version.scalar?.string == "v1" { return true }
    let found = version.scalar.map { ", not `\($0.string)`" } ?? ""
    problem(version, "this Ferry reads plans of version `v1`\(found)")
    return false
  }

  private func compose(_ yaml: String) -> Node? {
    do {
      // Some editors put a byte order mark before the text.
      let text = yaml.hasPrefix("\u{FEFF}") ? String(yaml.dropFirst()) : yaml
      if let node = try Yams.compose(yaml: text), !Self.isNull(node) { return node }
      problem(SourceLocation(file: file, line: 1, column: 1), "the plan is empty")
    } catch let error as YamlError {
      problems.append(syntaxProblem(error))
    } catch {
      problem(SourceLocation(file: file, line: 1, column: 1), "not valid YAML: \(error)")
    }
    return nil
  }

  /// Says nothing of the text itself, which could hold a secret.
  private func syntaxProblem(_ error: YamlError) -> PlanProblem {
    func at(_ line: Int, _ column: Int, _ message: String) -> PlanProblem {
      PlanProblem(SourceLocation(file: file, line: line, column: column), message)
    }
    switch error {
    case .scanner(let context, let problem, let mark, _),
      .parser(let context, let problem, let mark, _),
      .composer(let context, let problem, let mark, _):
      let around = context.map { "\($0.text): " } ?? ""
      return at(mark.line, mark.column, "not valid YAML: \(around)\(problem)")
    case .duplicatedKeysInMapping(let duplicates, let context):
      let keys = duplicates.map { "`\($0)`" }.joined(separator: ", ")
      return at(
        context.mark.line, context.mark.column,
        "the mapping has \(keys) twice; the first one stands here")
    case .reader(let problem, let offset, _, let yaml):
      let before = offset.map { yaml.prefix($0) } ?? ""
      return at(
        before.count(where: \.isNewline) + 1,
        before.reversed().prefix { !$0.isNewline }.count + 1, "not valid YAML: \(problem)")
    default:
      return at(1, 1, "not valid YAML")
    }
  }
}
