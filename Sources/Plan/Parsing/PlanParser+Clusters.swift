internal import Yams

extension PlanParser {
  func clusters(_ node: Node?, _ body: inout MigrationPlan.Body) {
    guard
      let reader = MappingReader(node, self, what: "`clusters`", keys: ["source", "target"])
    else { return }
    let source = reader.required("source").flatMap { cluster($0, "source") }
    let target = reader.required("target").flatMap { cluster($0, "target") }
    guard let source, let target else { return }
    let known = Set(source.bootstrap.map { $0.lowercased() })
    for entry in reader["target"]?.mapping?["bootstrap"]?.sequence ?? [] {
      guard let text = entry.scalar?.string, known.contains(text.lowercased()) else { continue }
      problem(entry, "`\(text)` is a broker of the source as well: there have to be two clusters")
    }
    body.source = source
    body.target = target
  }

  private func cluster(_ node: Node, _ what: String) -> ClusterPlan? {
    guard
      let reader = MappingReader(node, self, what: "`\(what)`", keys: ["bootstrap", "client"])
    else { return nil }
    var bootstrap: [String] = []
    for entry in reader.requiredList("bootstrap") {
      guard let text = string(entry, "bootstrap") else { continue }
      let port = text.split(separator: ":", omittingEmptySubsequences: false).last ?? ""
      // Numbers are spelled in one way only, so that equal brokers are equal text.
      let isPort = UInt16(port).map { $0 > 0 && "\($0)" == port } ?? false
      if !isPort || text.hasPrefix(":") || text.contains(where: { $0.isWhitespace || $0 == "," }) {
        problem(entry, "`\(text)` is not host:port")
      }
      bootstrap.append(text)
    }
    var client: [String: PropertyValue] = [:]
    for (property, value) in strings(reader["client"], "client") {
      client[property] = propertyValue(property, value.text, value.node)
    }
    return ClusterPlan(bootstrap: bootstrap, client: client)
  }

  /// Never says a value.
  private func propertyValue(
    _ property: String, _ text: String, _ node: Node
  ) -> PropertyValue? {
    if let reason = ClusterPlan.reserved[property] {
      problem(node, "`\(property)` cannot be set here: \(reason)")
      return nil
    }
    for (prefix, make) in [
      ("env:", PropertyValue.environment), ("file:", PropertyValue.file),
    ] where text.hasPrefix(prefix) {
      let reference = String(text.dropFirst(prefix.count))
      if reference.isEmpty { problem(node, "`\(property)` refers to nothing behind `\(prefix)`") }
      return make(reference)
    }
    guard !ClusterPlan.isSecret(property) else {
      problem(
        node,
        "`\(property)` is a secret: refer to it as env:NAME or file:PATH instead of writing it down"
      )
      return nil
    }
    return .literal(text)
  }

  func mirror(_ node: Node?, _ mirror: inout MirrorPlan) {
    guard
      let reader = MappingReader(
        node, self, what: "`mirror`", keys: ["rate", "tailRate", "lanes", "memory"])
    else { return }
    mirror.bytesPerSecond = reader["rate"].flatMap { rate($0, "rate") }
    mirror.tailBytesPerSecond = reader["tailRate"].flatMap { rate($0, "tailRate") }
    if let lanes = reader["lanes"], lanes.scalar?.string != "auto" {
      mirror.lanes = integer(lanes, "lanes", 1...1024, or: "auto").map { Int($0) }
    }
    if let memory = reader["memory"].flatMap({ size($0, "memory") }) {
      mirror.memoryBytes = memory
    }
  }

  func validation(_ node: Node?, _ validate: inout ValidatePlan) {
    guard let reader = MappingReader(node, self, what: "`validate`", keys: ["mode", "rate"]) else {
      return
    }
    if let node = reader["mode"], let mode = reader.string("mode"), mode != "full" {
      problem(node, "validation mode `\(mode)` is not supported: use `full`")
    }
    validate.bytesPerSecond = reader["rate"].flatMap { rate($0, "rate") }
  }
}
