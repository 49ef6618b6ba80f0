import ArgumentParser
import Cutover
import Engine
import Foundation
import Journal
import KafkaModel
import Logging
import Plan

struct RunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Execute a plan, or resume it where it stopped.",
    discussion: """
      Runs until every stage is finalized or rolled back; approvals, `ferry rollback` and \
      `ferry finalize` reach it through the journal. Ctrl-C ends it safely; run it again to resume.
      """)

  @OptionGroup var options: PlanOptions
  @Option(help: "Run only if the plan has this digest (from `ferry check` or the dry run).")
  var digest: String?
  @Flag(help: "Try stages anew that were rolled back.") var again = false

  func run() async throws {
    let plan = try options.load()
    var request = MigrationEngine.Request()
    request.digest = digest
    request.again = again
    try await EngineSession(plan, options).run(request)
  }
}

/// Runs an engine in this process: progress, signals, and the exit code of its outcome.
struct EngineSession {
  private let plan: MigrationPlan
  private let options: PlanOptions

  init(_ plan: MigrationPlan, _ options: PlanOptions) {
    self.plan = plan
    self.options = options
  }

  func run(_ request: MigrationEngine.Request) async throws {
    let engine = MigrationEngine(
      plan: plan, journalPath: options.journalPath(plan), logger: options.logger(.info))
    let printer = ProgressPrinter()
    let outcome = try await Interruption.cancels {
      try await engine.run(request) { printer.show($0) }
    }
    printer.finish()
    switch outcome {
    case .finalized:
      Console.out("ferry: every stage is finalized")
    case .rolledBack(let stage, let reason):
      throw EngineStop(error: .rolledBack(stage: stage, reason: reason), code: Exit.rolledBack)
    case .stopped(let stage, let step, let reason, let isDrift):
      throw EngineStop(
        error: .stageStopped(stage: stage, step: step.rawValue, reason: reason),
        code: isDrift ? Exit.drift : Exit.failed)
    case .interrupted:
      Console.error("ferry: stopped safely; resume with: ferry run \(options.plan)")
      throw ExitCode(128 + SIGINT)
    }
  }
}

/// An outcome that is told like an error but has an exit code of its own.
struct EngineStop: Error {
  let error: EngineError
  let code: Int32
}
