import ArgumentParser
import Cutover
import Engine
import Foundation
import Journal
import KafkaModel
import Plan

/// Sends a command to the running engine through the journal and waits for its answer.
struct Operator {
  let plan: MigrationPlan
  let journal: MigrationJournal

  init(_ options: PlanOptions) throws {
    plan = try options.load()
    journal = try MigrationJournal.open(at: options.journalPath(plan), mode: .existing)
  }

  /// The stage that is meant: the named one, or the only one.
  func stage(_ name: String?) throws -> String {
    let known = plan.stages.map(\.name)
    if let name {
      guard known.contains(name) else { throw EngineError.unknownStage(name, known: known) }
      return name
    }
    guard known.count == 1 else {
      throw ValidationError("The plan has several stages: name one with --stage.")
    }
    return known[0]
  }

  var isEngineRunning: Bool { get throws { try journal.currentLease() != nil } }

  static func command(
    _ kind: String, stage: String?, reason: String? = nil,
    arguments: [String: some Encodable] = [String: String]()
  ) throws -> NewCommand {
    let holder = LeaseHolder.current
    return NewCommand(
      kind: kind, stage: stage, arguments: try JSON.text(arguments), user: holder.user,
      host: holder.host, reason: reason)
  }

  /// Submits a command; a running engine answers it, and where none runs it is carried out here. Several
  /// operators at once take turns.
  ///
  /// Throws: `EngineError.commandRefused` - with the reason.
  func carryOut(_ command: NewCommand) async throws -> CommandOutcome {
    let id = try journal.submit(command)
    let deadline = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < deadline {
      var outcome = try journal.command(id)?.outcome
      if outcome == nil, try !isEngineRunning {
        outcome = try OfflineDesk.carryOut(id, plan, journal)
      }
      if let outcome {
        guard outcome.accepted else { throw EngineError.commandRefused(outcome.message) }
        return outcome
      }
      try await Task.sleep(for: .milliseconds(50))
    }
    throw EngineError.commandRefused(
      "no engine answered within 60 s; the command stays in the journal")
  }

  /// Submits and waits.
  ///
  /// Throws: `EngineError.commandRefused` - with the engine's words.
  func send(_ command: NewCommand) async throws -> CommandOutcome {
    let id = try journal.submit(command)
    let deadline = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < deadline {
      if let outcome = try journal.command(id)?.outcome {
        guard outcome.accepted else { throw EngineError.commandRefused(outcome.message) }
        return outcome
      }
      try await Task.sleep(for: .milliseconds(50))
    }
    throw EngineError.commandRefused(
      "no engine answered within 60 s; the command stays in the journal")
  }

  /// Shows the running engine's progress until `stage` has arrived at `phase`.
  ///
  /// Throws: `EngineError` - it stopped before, or its engine did.
  func follow(_ stage: String, to phase: Phase) async throws {
    let printer = ProgressPrinter()
    while true {
      // Looked at first: what an engine did before it ended stands in the journal that is read then.
      let isRunning = try isEngineRunning
      let status = try MigrationStatus.read(plan, journalPath: journal.path)
      printer.show(status)
      guard let now = status.stages.first(where: { $0.stage == stage }) else { return }
      if now.state == phase { return }
      if let failure = now.failure {
        throw EngineError.stageStopped(
          stage: stage, step: now.step?.rawValue ?? now.state.rawValue, reason: failure)
      }
      guard isRunning else {
        throw EngineError.commandRefused(
          "the engine ended before \(stage) was \(phase.rawValue); `ferry run` goes on with it")
      }
      try await Task.sleep(for: .milliseconds(200))
    }
  }
}

struct AckCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ack", abstract: "Say that what a manual hook asked for has been done.")

  @OptionGroup var options: PlanOptions
  @Argument(help: "The hook's id, as `ferry status` shows it.") var hook: String

  func run() async throws {
    let desk = try Operator(options)
    let stage = String(hook.prefix { $0 != "/" })
    let command = try Operator.command("ack", stage: stage, arguments: ["hook": hook])
    guard try desk.isEngineRunning else {
      throw EngineError.commandRefused("no engine runs, so no hook waits for an answer")
    }
    _ = try await desk.send(command)
    Console.out("\(hook): acknowledged")
  }
}

struct RollbackCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rollback",
    abstract: "Show what going back takes, ask, and go back. Possible until `finalize`.",
    discussion: """
      Tells the running engine; where none runs, this command does the work itself. Ends when the \
      stage is rolled back. Exit code 0: it is.
      """)

  @OptionGroup var options: PlanOptions
  @Option(help: "The stage; may be left out where there is only one.") var stage: String?
  @Option(help: "Why; stands in the journal.") var reason: String?
  @Flag(help: "Do not ask.") var yes = false

  func run() async throws {
    let desk = try Operator(options)
    let stage = try desk.stage(stage)
    let status = try MigrationStatus.read(
      desk.plan, journalPath: options.journalPath(desk.plan))
    guard let now = status.stages.first(where: { $0.stage == stage }) else { return }
    let card = RollbackCard.text(now)
    Console.out(
      now.wayBack == .none
        ? "\(stage) is \(now.state.rawValue): the way back \(card)"
        : "\(stage) is \(now.state.rawValue). Going back will: \(card)")
    for line in RollbackCard.lines(now) { Console.out("  \(line)") }
    if !yes {
      FileHandle.standardOutput.write(Data("Go back? [y/N] ".utf8))
      guard let answer = readLine(), ["y", "yes"].contains(answer.lowercased()) else {
        Console.out("nothing done")
        throw ExitCode(Exit.waiting)
      }
    }
    let command = try Operator.command("rollback", stage: stage, reason: reason)
    guard try desk.isEngineRunning else {
      var request = MigrationEngine.Request()
      request.stage = stage
      if now.wayBack != .underway { request.command = command }
      do {
        try await EngineSession(desk.plan, options).run(request)
      } catch let stop as EngineStop where stop.code == Exit.rolledBack {}
      try report(desk, stage)
      return
    }
    if now.wayBack != .underway { _ = try await desk.send(command) }
    try await desk.follow(stage, to: .rolledBack)
    try report(desk, stage)
  }

  /// Says how it went, against what was predicted.
  private func report(_ desk: Operator, _ stage: String) throws {
    let status = try MigrationStatus.read(desk.plan, journalPath: options.journalPath(desk.plan))
    let now = status.stages.first { $0.stage == stage }
    let outcome = now.flatMap { $0.rolledBack == nil ? nil : RollbackCard.text($0) }
    Console.out("\(stage): rolled back" + (outcome.map { "; the way back \($0)" } ?? ""))
  }
}

struct FinalizeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "finalize", abstract: "Give up a soaking stage's way back, for good.",
    discussion: "Ends when the reverse mirror is stopped and what Ferry had set is restored.")

  @OptionGroup var options: PlanOptions
  @Option(help: "The stage; may be left out where there is only one.") var stage: String?

  func run() async throws {
    let desk = try Operator(options)
    let stage = try desk.stage(stage)
    let command = try Operator.command("finalize", stage: stage)
    if try desk.isEngineRunning {
      _ = try await desk.send(command)
      try await desk.follow(stage, to: .finalized)
    } else {
      var request = MigrationEngine.Request()
      request.stage = stage
      request.command = command
      try await EngineSession(desk.plan, options).run(request)
    }
    Console.out("\(stage): finalized; there is no way back now")
  }
}
