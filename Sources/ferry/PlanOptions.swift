import ArgumentParser
import Foundation
import Logging
import Plan

/// What every command about a migration takes.
struct PlanOptions: ParsableArguments {
  @Argument(help: "The plan, a YAML file.", completion: .file(extensions: ["yaml", "yml"]))
  var plan: String

  @Option(help: "The journal. By default MIGRATION.ferry.db beside the plan.")
  var journal: String?

  @Flag(name: .shortAndLong, help: "Log what happens inside, librdkafka's lines too.")
  var verbose = false

  func load() throws -> MigrationPlan { try MigrationPlan.load(path: plan) }

  func journalPath(_ plan: MigrationPlan) -> String {
    journal ?? plan.directory + "/\(plan.name).ferry.db"
  }

  /// Logs to standard error. Quiet by default: steps are told by the commands themselves.
  func logger(_ standard: Logger.Level = .warning) -> Logger {
    LogOptions.logger(verbose ? .debug : standard)
  }
}

enum LogOptions {
  static func logger(_ level: Logger.Level) -> Logger {
    var logger = Logger(label: "ferry") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = level
    return logger
  }
}
