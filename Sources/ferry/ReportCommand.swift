import ArgumentParser
import Engine
import Foundation
import Plan
import Reports

struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Print a migration's evidence: steps, durations, who wanted what, the window.",
    discussion: """
      Reads the journal alone, whether the migration has ended or not. The window is the time for \
      which clients stood still, from the fence to the call of the switch hook, step by step.
      """)

  @OptionGroup var options: PlanOptions
  @Flag(help: "Print JSON.") var json = false

  func run() throws {
    let plan = try options.load()
    let report = try MigrationReport.read(plan, journalPath: options.journalPath(plan))
    if json { return try Console.json(report) }
    Console.out(report.text { Date(timeIntervalSince1970: $0).formatted(.iso8601) })
  }
}
