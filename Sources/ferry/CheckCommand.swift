import ArgumentParser
import Engine
import Plan
import Reports

struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Parse a plan and look for mistakes, without connecting.")

  @OptionGroup var options: PlanOptions
  @Flag(help: "Fail on warnings.") var strict = false
  @Flag(help: "Print JSON.") var json = false

  private struct Answer: Encodable {
    let migration: String
    let digest: String
    let findings: [Finding]
  }

  func run() throws {
    let plan = try options.load()
    if json {
      try Console.json(
        Answer(migration: plan.name, digest: plan.digest, findings: plan.findings))
    } else {
      for finding in plan.findings {
        Console.out("\(finding.severity.rawValue): \(finding.message)")
      }
      Console.out("\(plan.file): valid, \(plan.digest)")
    }
    if strict, plan.findings.contains(where: { $0.severity == .warning }) {
      throw ExitCode(Exit.failed)
    }
  }
}

struct DryRunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dry-run",
    abstract: "Look at both clusters and say what a run would do. Writes to neither.")

  enum Format: String, ExpressibleByArgument, CaseIterable { case md, json }

  @OptionGroup var options: PlanOptions
  @Option(help: "md or json.") var format = Format.md
  @Flag(help: "The same as --format json.") var json = false

  func run() async throws {
    let report = try await DryRun.report(try options.load(), logger: options.logger())
    if json || format == .json {
      try Console.json(report)
    } else {
      Console.out(report.markdown)
    }
    if !report.blockers.isEmpty { throw ExitCode(Exit.failed) }
  }
}
