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
      those that they have passed; the rollback card says how many.

      With --forward they are also copied to the target, behind what stands there: groups there read each \
      once. The reverse mirror carries the copies back, so the source holds them twice; a group that goes \
      back reads one of them, or both if it stands before the first. Only while the stage soaks.

      Stop the writer first.
      """)

  @OptionGroup var options: StageOptions
  @Flag(help: "Leave them on the source alone. Takes a --reason.") var leave = false
  @Flag(help: "Copy them to the target. Takes a --reason.") var forward = false
  @Option(help: "Decide about this partition's only: TOPIC:PARTITION.") var partition: String?
  @Flag(help: "Print JSON.") var json = false

  func validate() throws {
    guard !(leave && forward) else {
      throw ValidationError("Either --leave or --forward.")
    }
    let isDecision = leave || forward
    guard isDecision || (partition == nil && options.reason == nil) else {
      throw ValidationError("--partition and --reason go with --leave and --forward.")
    }
    guard !isDecision || options.reason?.contains(where: { !$0.isWhitespace }) == true else {
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
    if leave || forward {
      var arguments = partition.map { ["partition": $0] } ?? [:]
      if forward { arguments["forward"] = "true" }
      let command = try Operator.command(
        "strays", stage: stage, reason: options.reason, arguments: arguments)
      let answer =
        isRunning
        ? try await desk.send(command).message : try await offline.decide(command)
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
