import ArgumentParser
import Cutover
import Engine
import KafkaModel
import Plan

struct StatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "One screen: where every stage is, and what going back takes.")

  @OptionGroup var options: PlanOptions
  @Flag(help: "Print JSON.") var json = false
  @Flag(help: "Show every topic, not only the few that are furthest behind.") var topics = false
  @Flag(help: "Show anew every second, until Ctrl-C.") var watch = false

  func run() async throws {
    let plan = try options.load()
    repeat {
      let status = try MigrationStatus.read(plan, journalPath: options.journalPath(plan))
      if json {
        try Console.json(status)
      } else {
        Console.out(Self.text(status, clear: watch, topics: topics))
      }
      if watch { try await Task.sleep(for: .seconds(1)) }
    } while watch
  }

  static func text(_ status: MigrationStatus, clear: Bool, topics: Bool) -> String {
    var text = clear ? "\u{1B}[2J\u{1B}[H" : ""
    text += "\(status.migration)\(status.change.map { "  (\($0))" } ?? "")  \(status.planDigest)\n"
    text += "engine: \(status.engine ?? "none runs")\n"
    if !status.rates.isEmpty {
      let rates = Throttling.Budget.allCases.map { budget in
        let rate = status.rates[budget].map { "\(TopicTable.bytes(Double($0)))/s" }
        return "\(budget.rawValue) \(rate ?? "unlimited")"
      }
      text += "rates: \(rates.joined(separator: ", "))\n"
    }
    for stage in status.stages {
      text += "\n\(StatusText.line(stage))\n"
      for line in TopicTable.lines(stage.topics, all: topics) { text += line + "\n" }
      for gap in stage.gaps {
        text +=
          "  given up: \(gap.partition) offsets \(gap.from) to \(gap.to.rawValue - 1), which the source dropped\n"
      }
      if let step = stage.step { text += "  now:      \(step.summary)\n" }
      if let seconds = stage.windowSeconds {
        text +=
          "  window:   clients stood still for \((seconds * 100).rounded() / 100) s before the switch; `ferry report` says what for\n"
      }
      if let reason = stage.rollbackReason { text += "  went back because \(reason)\n" }
      if !stage.approvals.isEmpty {
        text += "  approved: \(stage.approvals.joined(separator: ", "))\n"
      }
      for decision in stage.strayDecisions { text += "  strays:   \(decision.summary)\n" }
      if let hold = stage.paused { text += "  paused by \(hold.summary)\n" }
      for gate in stage.gates { text += "  gate \(gate.summary)\n" }
      for waiver in stage.waivers { text += "  \(waiver.summary)\n" }
      text += "  way back: \(RollbackCard.text(stage))\n"
      for line in RollbackCard.lines(stage) { text += "    \(line)\n" }
    }
    return text
  }
}
