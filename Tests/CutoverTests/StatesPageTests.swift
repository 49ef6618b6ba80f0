import Cutover
import Foundation
import KafkaModel
import Testing

@Suite("The states page")
struct StatesPageTests {
  private static let runbooks = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Runbooks")

  @Test("It is the machine's own (FERRY_RENDER=1 writes it)")
  func page() throws {
    let page = Self.runbooks.appendingPathComponent("states.md")
    if ProcessInfo.processInfo.environment["FERRY_RENDER"] == "1" {
      try Data(StatesPage.markdown.utf8).write(to: page)
    }
    #expect(try Data(contentsOf: page) == Data(StatesPage.markdown.utf8))
  }

  @Test("It tells of every phase: what is true of each cluster, the way back, what to do")
  func everyPhase() {
    let parts = StatesPage.markdown.components(separatedBy: "\n## ").dropFirst()
    #expect(parts.map { $0.prefix { $0 != "\n" } } == Phase.allCases.map { $0.rawValue[...] })
    for part in parts {
      for label in ["- Source: ", "- Target: ", "- Way back: ", "- If it hangs: "] {
        #expect(part.components(separatedBy: "\n\(label)").count == 2, "\(part)")
      }
    }
    let lines = StatesPage.markdown.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.allSatisfy { $0.last?.isWhitespace != true })
  }

  @Test("Its table is the table of the transition tests")
  func table() {
    let lines = StatesPage.markdown.split(separator: "\n").filter { $0.hasPrefix("| `") }
    let expected = Phase.allCases.map { phase in
      let rows = Strategy.allCases.filter { $0.phases.contains(phase) }.map {
        ($0, TransitionTests.row(phase, $0))
      }
      let cells = (0..<4).map { column in
        let told = rows.map { ($0, Self.cells($1)[column]) }
        return Set(told.map(\.1)).count == 1
          ? told[0].1 : told.map { "`\($0.rawValue)`: \($1)" }.joined(separator: "; ")
      }
      return "| `\(phase.rawValue)` | \(cells.joined(separator: " | ")) |"
    }
    #expect(lines.map(String.init) == expected)
  }

  /// What the page says of a row: step, success, failure, rollback.
  private static func cells(_ row: TransitionTests.Row) -> [String] {
    let failure =
      row.step == nil
      ? "-"
      : row.failure.map { "goes back by itself: `\($0.rawValue)`" }
        ?? "stops here; `ferry run` tries again"
    let rollback =
      switch row.rollback {
      case .rolledBack: "`rolledBack` at once"
      case let phase?: "`\(phase.rawValue)`"
      case nil: row.step == nil || row.phase == .finalizing ? "refused" : "goes on with it"
      }
    return [
      row.step.map { "`\($0.rawValue)`" } ?? "-", row.success.map { "`\($0.rawValue)`" } ?? "-",
      failure, rollback,
    ]
  }

  @Test("The pages that it names are there")
  func links() throws {
    let named = StatesPage.markdown.matches(of: /`([a-z-]+\.md)`/).map { String($0.output.1) }
    #expect(!named.isEmpty)
    for page in Set(named) {
      #expect(
        FileManager.default.fileExists(atPath: Self.runbooks.appendingPathComponent(page).path),
        "\(page)")
    }
  }
}
