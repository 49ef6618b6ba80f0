import ArgumentParser
import Engine
import Foundation
import Kafka
import KafkaModel
import Logging
import Plan
import Synchronization
import Validation

struct ValidateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "validate",
    abstract: "Read both sides and report every difference, down to the offset.",
    discussion: """
      With a plan: compares what the migration mirrored, through its offset map. With --source, \
      --target and --topic: compares a topic on any two clusters, pairing records by order.
      """)

  @Argument(help: "The plan of a migration that has begun.") var plan: String?
  @Option(help: "The journal. By default MIGRATION.ferry.db beside the plan.") var journal: String?
  @Option(help: "Bootstrap servers of one cluster.") var source: String?
  @Option(help: "Bootstrap servers of the other cluster.") var target: String?
  @Option(help: "The topic to compare.") var topic: String?
  @Option(help: "Its name on the target, if it has another one there.") var targetTopic: String?
  @Flag(help: "Print JSON.") var json = false

  func validate() throws {
    let clusters = [source, target, topic].compactMap { $0 }.count
    guard (plan != nil && clusters == 0) || (plan == nil && clusters == 3) else {
      throw ValidationError("Name a plan, or --source, --target and --topic.")
    }
  }

  func run() async throws {
    let progress = RecordCounter()
    let verdicts = try await verdicts { progress.add($0) }
    progress.finish()
    let records = verdicts.reduce(0) { $0 + $1.records }
    let different = verdicts.filter { !$0.isEqual }
    if json {
      try Console.json(verdicts)
    } else {
      for verdict in different {
        for difference in verdict.differences {
          Console.out("\(verdict.source) -> \(verdict.target): \(difference)")
        }
        if verdict.differenceCount > verdict.differences.count {
          Console.out(
            "\(verdict.source): \(verdict.differenceCount - verdict.differences.count) more")
        }
      }
      Console.out(
        "\(records) records in \(verdicts.count) partitions compared, \(different.reduce(0) { $0 + $1.differenceCount }) differences"
      )
    }
    if !different.isEmpty { throw ExitCode(Exit.failed) }
  }

  private func verdicts(
    _ onProgress: @escaping @Sendable (Int64) -> Void
  ) async throws -> [Verdict] {
    let logger = LogOptions.logger(.warning)
    if let plan {
      let loaded = try MigrationPlan.load(path: plan)
      let path = journal ?? loaded.directory + "/\(loaded.name).ferry.db"
      return try await Inquiry(loaded, journalPath: path, logger: logger).validate(
        onProgress: onProgress)
    }
    func connection(_ name: String, _ servers: String?) -> ClusterConnection {
      ClusterConnection(
        name: name, properties: ["bootstrap.servers": servers ?? ""], logger: logger)
    }
    return try await Inquiry.compare(
      source: connection("source", source), target: connection("target", target),
      topic: topic ?? "", targetTopic: targetTopic ?? topic ?? "", onProgress: onProgress)
  }
}

/// Counts records on the terminal while they are read.
final class RecordCounter: Sendable {
  private let count = Mutex<Int64>(0)

  func add(_ more: Int64) {
    let total = count.withLock { count in
      count += more
      return count
    }
    if Console.isTerminal { write("\r\(total) records compared") }
  }

  func finish() { if Console.isTerminal { write("\r\u{1B}[2K") } }

  private func write(_ text: String) {
    try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
  }
}

struct TranslateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "translate",
    abstract: "Say where an offset, or a group's commits, stand on the other cluster.")

  @OptionGroup var options: PlanOptions
  @Argument(help: "GROUP, or TOPIC:PARTITION:OFFSET.") var what: String
  @Option(help: "The cluster to translate to: target or source.") var to = "target"
  @Flag(help: "Print JSON.") var json = false

  func validate() throws {
    guard ClusterRole(rawValue: to) != nil else {
      throw ValidationError("--to is target or source, not \(to).")
    }
  }

  func run() async throws {
    let plan = try options.load()
    let inquiry = try Inquiry(
      plan, journalPath: options.journalPath(plan), logger: options.logger())
    let direction: Direction = to == "target" ? .forward : .reverse
    let parts = what.split(separator: ":")
    let answers: [Inquiry.Translation]
    if parts.count == 3, let partition = Int32(parts[1]), let offset = Int64(parts[2]) {
      answers = [
        try inquiry.translate(
          TopicPartition(String(parts[0]), partition), Offset(offset), direction)
      ]
    } else {
      answers = try await inquiry.translate(group: what, direction)
    }
    if json { return try Console.json(answers) }
    if answers.isEmpty { Console.out("\(what) has no commits on the mirrored partitions") }
    for answer in answers {
      Console.out(
        "\(answer.partition):\(answer.offset) -> \(answer.other):\(answer.translated)"
          + (answer.isExact ? "" : "  (the next mirrored record; none stands at \(answer.offset))"))
    }
  }
}
