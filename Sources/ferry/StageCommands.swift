import ArgumentParser
import Engine
import Journal
import Plan

/// What every command to one stage takes.
struct StageOptions: ParsableArguments {
  @OptionGroup var plan: PlanOptions
  @Option(help: "The stage; may be left out where there is only one.") var stage: String?
  @Option(help: "Why; stands in the journal.") var reason: String?

  /// Gives the command to the running engine, or carries it out here where none runs, and says what
  /// came of it.
  ///
  /// Throws: `EngineError.commandRefused`, `JournalError`.
  func give(_ kind: String, arguments: [String: String] = [:]) async throws {
    let desk = try Operator(plan)
    let stage = try desk.stage(stage)
    let command = try Operator.command(kind, stage: stage, reason: reason, arguments: arguments)
    let outcome = try await desk.carryOut(command)
    Console.out("\(stage): \(outcome.message)")
  }
}

struct ApproveCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "approve", abstract: "Approve a stage's cutover.",
    discussion: """
      Counts once for each person, however the name is spelt in capitals and white space, and for \
      one attempt of the stage.
      """)

  @OptionGroup var options: StageOptions
  @Option(help: "Who approves. By default the user that runs this.") var by: String?

  func run() async throws {
    try await options.give("approve", arguments: by.map { ["by": $0] } ?? [:])
  }
}

struct ForceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "force", abstract: "Open one gate of a stage by force, for this attempt.",
    discussion: """
      Journalled with user, host and reason; shown in status, in the dry run and in the evidence. \
      `ferry status` names the gates.
      """)

  @OptionGroup var options: StageOptions
  @Argument(help: "The gate: window, for instance.") var gate: String

  func validate() throws {
    guard options.reason?.contains(where: { !$0.isWhitespace }) == true else {
      throw ValidationError("Say why: --reason.")
    }
  }

  func run() async throws { try await options.give("force", arguments: ["gate": gate]) }
}

struct PauseCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pause", abstract: "Hold a stage before its fence; the mirror goes on.",
    discussion: "Refused once the cutover is under way: clients would stand still.")

  @OptionGroup var options: StageOptions

  func run() async throws { try await options.give("pause") }
}

struct ResumeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resume", abstract: "Let a paused stage go on.")

  @OptionGroup var options: StageOptions

  func run() async throws { try await options.give("resume") }
}

struct VetoCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "veto", abstract: "Stop the automatic rollback that is about to begin.",
    discussion: "Holds until the trigger's condition has cleared; then it counts again.")

  @OptionGroup var options: StageOptions

  func run() async throws { try await options.give("veto") }
}
