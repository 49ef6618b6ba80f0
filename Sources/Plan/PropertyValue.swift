internal import Foundation

/// A client property's value, or where to find it.
package enum PropertyValue: Hashable, Sendable, Codable {
  case literal(String)
  /// `env:NAME`: an environment variable of the process that runs Ferry.
  case environment(String)
  /// `file:PATH`: a file's text without newlines at its end, relative to the plan's directory.
  case file(String)

  /// How the plan spells a reference; `nil` for a literal.
  package var reference: String? {
    switch self {
    case .literal: nil
    case .environment(let name): "env:\(name)"
    case .file(let path): "file:\(path)"
    }
  }

  /// The value itself. It may be a secret: never store or print it.
  ///
  /// - Parameters:
  ///   - property: stands in the error.
  ///   - directory: where relative paths start.
  ///
  /// Throws: ``PlanError/secretMissing(reference:property:)`` - the variable or the file is not there,
  /// is not UTF-8 text or is empty.
  package func resolve(
    property: String, directory: String,
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws(PlanError) -> String {
    let found: String?
    switch self {
    case .literal(let text): return text
    case .environment(let name): found = environment[name]
    case .file(let path):
      let base = URL(fileURLWithPath: directory, isDirectory: true)
      var text = try? String(
        contentsOf: URL(fileURLWithPath: path, relativeTo: base), encoding: .utf8)
      while text?.last?.isNewline == true { text?.removeLast() }
      found = text
    }
    guard let found, !found.isEmpty else {
      throw .secretMissing(reference: reference ?? "", property: property)
    }
    return found
  }
}
