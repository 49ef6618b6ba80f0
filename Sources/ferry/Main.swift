import ArgumentParser
import Foundation
import Logging

@main
struct Main {
  static func main() async {
    do {
      var command = try Ferry.parseAsRoot()
      #if DEBUG
        // Tests hold the commands that pages name against the parser, without carrying them out.
        if ProcessInfo.processInfo.environment["FERRY_PARSE_ONLY"] != nil { return }
      #endif
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
    } catch {
      exit(Failure.report(error))
    }
  }
}

struct Ferry: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ferry",
    abstract: "Moves a live Kafka estate to another cluster, and can always bring it back.",
    discussion: """
      A migration is declared in a plan (YAML) and journalled in one SQLite file beside it.

      Exit codes: 0 done, 1 a check or step failed, 2 the plan or the arguments are wrong, 3 \
      `ferry rollback` was answered with no, 4 rolled back, 5 the clusters or the plan are not what \
      was reviewed, 70 a bug, 130 interrupted.
      """,
    version: "0.1.0",
    subcommands: commands + hidden)

  private static let commands: [any ParsableCommand.Type] = [
    CheckCommand.self, DryRunCommand.self, RunCommand.self, StatusCommand.self,
    ApproveCommand.self, ForceCommand.self, PauseCommand.self, ResumeCommand.self,
    VetoCommand.self, AckCommand.self, ThrottleCommand.self, RollbackCommand.self,
    FinalizeCommand.self,
    ValidateCommand.self, TranslateCommand.self, JournalCommand.self, ServeCommand.self,
    BenchCommand.self, DoctorCommand.self, ReportCommand.self,
    StraysCommand.self,
  ]

  #if DEBUG
    private static let hidden: [any ParsableCommand.Type] = [CrashPointsCommand.self]
  #else
    private static let hidden: [any ParsableCommand.Type] = []
  #endif
}
