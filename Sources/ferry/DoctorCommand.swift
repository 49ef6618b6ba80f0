import ArgumentParser
import Cutover
import Engine
import Plan

struct DoctorCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Say where journal and clusters differ, and what mends it. Changes nothing.",
    discussion: "Exit code 0: all is well. 1: something needs a person.")

  @OptionGroup var options: PlanOptions
  @Flag(help: "Print JSON.") var json = false

  func run() async throws {
    let plan = try options.load()
    let doctor = Doctor(plan, journalPath: options.journalPath(plan), logger: options.logger())
    let diagnosis = try await doctor.examine()
    if json {
      try Console.json(diagnosis)
    } else {
      Console.out(Self.text(diagnosis))
    }
    if !diagnosis.isWell { throw ExitCode(Exit.failed) }
  }

  private static func text(_ diagnosis: Diagnosis) -> String {
    var text = "\(diagnosis.migration)\nengine: \(diagnosis.engine ?? "none runs")\n"
    for stage in diagnosis.stages {
      text += "\(stage.stage): \(stage.state.rawValue)"
      text += stage.attempt > 1 ? ", attempt \(stage.attempt)\n" : "\n"
    }
    for finding in diagnosis.findings {
      text += "\n\(finding.isTrouble ? "TROUBLE" : "note"): \(finding.what)\n"
      if let mend = finding.mend { text += "  next: \(mend)\n" }
    }
    return text + (diagnosis.isWell ? "\nall is well\n" : "")
  }
}
