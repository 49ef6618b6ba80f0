internal import Foundation
internal import Yams

extension PlanParser {
  /// - Parameter slot: the key that the hook stands behind.
  func hook(_ node: Node?, _ slot: String) -> Hook? {
    let kinds = ["exec", "http", "manual"]
    guard
      let reader = MappingReader(node, self, what: "`\(slot)`", keys: kinds + ["timeout"]),
      let kind = reader.exactlyOne(of: kinds), let value = reader[kind]
    else { return nil }
    if kind == "manual", let timeout = reader["timeout"] {
      problem(timeout, "`timeout` does not go with `manual`: a person takes their time")
    }
    let timeout = reader.duration("timeout", atLeast: .milliseconds(1)) ?? .seconds(60)
    return hookAction(kind, value).map { Hook(action: $0, timeout: timeout) }
  }

  func hookAction(_ kind: String, _ value: Node) -> Hook.Action? {
    switch kind {
    case "exec": exec(value)
    case "http": http(value)
    default: string(value, kind).map { .manual($0) }
    }
  }

  /// A hook, or rules that Ferry sets itself.
  func fence(_ node: Node?) -> Fence? {
    guard let node, case .mapping(let mapping) = node, mapping["acl"] != nil else {
      return hook(node, "fence").map { .hook($0) }
    }
    guard
      let reader = MappingReader(node, self, what: "an `acl` fence", keys: ["acl", "principals"])
    else { return nil }
    if let word = reader.string("acl"), word != "deny-write", let node = reader["acl"] {
      unknownWord(node, "acl", word, ["deny-write"])
    }
    var principals: [String] = []
    for node in reader.requiredList("principals") {
      guard let principal = string(node, "principals") else { continue }
      let parts = principal.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      if parts.count != 2 || parts.contains("") {
        problem(node, "`principals`: one is TYPE:NAME, such as User:orders, not `\(principal)`")
      } else if principals.contains(principal) {
        problem(node, "`principals` names `\(principal)` twice")
      }
      principals.append(principal)
    }
    return .denyWrite(principals: principals)
  }

  private func exec(_ node: Node) -> Hook.Action? {
    guard case .sequence(let sequence) = node else {
      problem(node, "`exec` has to be a list, [program, argument, ...]: hooks run without a shell")
      return nil
    }
    guard let program = sequence.first else {
      problem(node, "`exec` needs a program")
      return nil
    }
    guard let path = string(program, "exec") else { return nil }
    let arguments = sequence.dropFirst().map { string($0, "exec", mayBeEmpty: true) }
    guard !arguments.contains(nil) else { return nil }
    return .exec([path] + arguments.compactMap { $0 })
  }

  private func http(_ node: Node) -> Hook.Action? {
    let methods = ["get", "post", "put", "patch", "delete"]
    guard
      let reader = MappingReader(node, self, what: "`http`", keys: methods + ["expect", "body"]),
      let method = reader.exactlyOne(of: methods), let urlNode = reader[method]
    else { return nil }
    let expect = reader.integer("expect", 100...599) ?? 200
    let body = reader["body"].flatMap { string($0, "body", mayBeEmpty: true) }
    guard let text = string(urlNode, method) else { return nil }
    let url = URL(string: text)
    guard let url, ["http", "https"].contains(url.scheme), url.host()?.isEmpty == false else {
      problem(urlNode, "`\(method)` needs a URL that begins with http:// or https://")
      return nil
    }
    // A token stands as the user as often as behind it.
    guard url.user() == nil, url.password() == nil else {
      problem(
        urlNode,
        "the URL holds a user or a password: plans hold no secrets, so call a program instead")
      return nil
    }
    return .http(method: method.uppercased(), url: text, body: body, expect: Int(expect))
  }
}
