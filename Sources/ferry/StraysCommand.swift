import ArgumentParser
import Engine
import Foundation
import Journal
import Plan

struct StraysCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "strays",
    abstract: "Show what others wrote to the source after the switch, and decide about it.",
    discussion: """
      With --leave they stay on the source, and the reverse mirror goes on around them: rollback and \
      finalize are possible again. Groups that go back read those that lie before them, and skip \
      those that they have passed; the rollback card says how many. Stop the writer first.
      """)

  @OptionGroup var options: StageOptions
  @Flag(help: "Leave them on the source. Takes a --reason.") var leave = false
  @Option(help: "Leave only this partition's: TOPIC:PARTITION.") var partition: String?
  @Flag(help: "Print JSON.") var json = false

  func validate() throws {
    guard leave || (partition == nil && options.reason == nil) else {
      throw ValidationError("--partition and --reason go with --leave.")
    }
    guard !leave || options.reason?.contains(where: { !$0.isWhitespace }) == true else {
      throw ValidationError("Say why: --reason.")
    }
  }

  private struct Answer: Encodable {
    let stage: String
    let open: [StrayWrite]
    let decided: [StrayDecision]
  }

  func run() async throws {
    let desk = try Operator(options.plan)
    let stage = try desk.stage(options.stage)
    let offline = StrayDesk(desk.plan, desk.journal, logger: options.plan.logger())
    let isRunning = try desk.isEngineRunning
    if leave {
      let command = try Operator.command(
        "strays", stage: stage, reason: options.reason,
        arguments: partition.map { ["partition": $0] } ?? [:])
      let answer =
        isRunning
        ? try await desk.send(command).message : try await offline.leave(command)
      Console.out("\(stage): \(answer)")
      return
    }
    let status = try MigrationStatus.read(
      desk.plan, journalPath: options.plan.journalPath(desk.plan))
    guard let now = status.stages.first(where: { $0.stage == stage }) else { return }
    let open = isRunning ? now.strays : try await offline.unknown(stage)
    if json {
      return try Console.json(Answer(stage: stage, open: open, decided: now.strayDecisions))
    }
    for stray in open { Console.out("open: \(stray.summary)") }
    for decision in now.strayDecisions { Console.out("decided: \(decision.summary)") }
    if open.isEmpty { Console.out("\(stage): no stray write is open") }
  }
}
