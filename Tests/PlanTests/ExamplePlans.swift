import Foundation

/// The plans that come with Ferry.
enum ExamplePlans {
  static var directory: URL {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Plans")
  }

  /// Every `*.yaml` in `Plans/`, by path from there.
  static var paths: [String] {
    let all = FileManager.default.enumerator(atPath: directory.path)?.compactMap { $0 as? String }
    return (all ?? []).filter { $0.hasSuffix(".yaml") }.sorted()
  }

  static func text(_ path: String) throws -> String {
    try String(contentsOf: directory.appendingPathComponent(path), encoding: .utf8)
  }
}
