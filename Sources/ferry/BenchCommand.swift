import ArgumentParser
import Engine
import Foundation
import Kafka
import Logging
import Plan
import Reports
import Synchronization

struct BenchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure the mirror between two clusters, against a bare consume-produce loop.",
    discussion: """
      Makes topics named ferry.bench.* on both clusters, fills the source's, copies them, and \
      deletes them again. Nothing else on the clusters is touched, but they are kept busy: do not \
      run it on an estate that cannot bear it.
      """)

  @Option(help: "Bootstrap servers of the source cluster.") var source: String?
  @Option(help: "Bootstrap servers of the target cluster.") var target: String?
  @Option(help: "A plan whose clusters to use instead.", completion: .file(extensions: ["yaml"]))
  var plan: String?
  @Option(help: "Records to copy.") var records: Int64 = 1_000_000
  @Option(help: "Bytes of each record's value, at least 8.") var size = 1000
  @Option(help: "Partitions to spread them over.") var partitions: Int32 = 8
  @Option(help: "Empty partitions to mirror along.") var idlePartitions: Int32 = 0
  @Option(
    help: "Deal the records to so many partitions by their keys, as `order: rekey` does.")
  var rekeyTo: Int32?
  @Option(help: "Compression: none, gzip, snappy, lz4 or zstd.") var codec = "none"
  @Option(help: "Lanes of the mirror. By default as a migration would choose.") var lanes: Int?
  @Option(help: "Bound of the mirror's memory, in MiB.") var memory: Int64 = 512
  @Option(help: "How often to copy, in turns with the bare loop.") var rounds = 3
  @Option(help: "Records a second while latency is measured; 0 leaves it out.")
  var tailRate = 20_000
  @Option(help: "Seconds to measure latency for.") var tailSeconds = 10
  @Flag(
    help: ArgumentHelp(
      "Measure the offset map instead, which needs no clusters.", visibility: .hidden))
  var map = false
  @Flag(help: "Print JSON.") var json = false
  @Flag(name: .shortAndLong, help: "Log what happens inside, librdkafka's lines too.")
  var verbose = false

  func validate() throws {
    let clusters = [source, target].compactMap { $0 }.count
    guard map || (plan != nil && clusters == 0) || (plan == nil && clusters == 2) else {
      throw ValidationError("Name --source and --target, or --plan.")
    }
    guard records > 0, size >= 8, partitions > 0, idlePartitions >= 0, rounds > 0, memory >= 16,
      lanes ?? 1 > 0, tailRate >= 0, tailSeconds > 0
    else {
      throw ValidationError(
        "--records, --partitions, --lanes, --rounds and --tail-seconds are at least 1, --size 8, --memory 16."
      )
    }
    guard rekeyTo ?? 1 > 0 else { throw ValidationError("--rekey-to is at least 1.") }
    guard rekeyTo == nil || (lanes == nil && idlePartitions == 0) else {
      throw ValidationError(
        "--rekey-to copies one topic on one thread: leave --lanes and --idle-partitions out.")
    }
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"]
    guard codecs.contains(codec) else {
      throw ValidationError("--codec is one of \(codecs.joined(separator: ", ")).")
    }
  }

  func run() async throws {
    if map {
      let report = try MapBench.run()
      return try json ? Console.json(report) : Console.out(report.text)
    }
    let logger = LogOptions.logger(verbose ? .debug : .warning)
    var options = MirrorBench.Options()
    options.records = records
    options.size = size
    options.partitions = partitions
    options.idlePartitions = idlePartitions
    options.codec = codec
    options.lanes = lanes
    options.rekeyTo = rekeyTo
    options.memoryBytes = memory << 20
    options.rounds = rounds
    options.tailRate = tailRate
    options.tailSeconds = tailSeconds
    let (source, target) = try connections(logger)
    let bench = try MirrorBench(
      source: source, target: target, options: options, logger: logger)
    let line = StepLine()
    let report = try await Interruption.cancels { try await bench.run { line.show($0, $1) } }
    line.finish()
    if json { try Console.json(report) } else { Console.out(report.text) }
  }

  private func connections(
    _ logger: Logger
  ) throws -> (source: ClusterConnection, target: ClusterConnection) {
    if let plan {
      let clusters = try Clusters(try MigrationPlan.load(path: plan), logger: logger)
      return (clusters.source, clusters.target)
    }
    func connection(_ name: String, _ servers: String?) -> ClusterConnection {
      ClusterConnection(
        name: name, properties: ["bootstrap.servers": servers ?? ""], logger: logger)
    }
    return (connection("source", source), connection("target", target))
  }
}

/// What is being done now: one line that changes on a terminal, a line for each step elsewhere.
final class StepLine: Sendable {
  private let last = Mutex("")

  func show(_ step: String, _ detail: String) {
    let isNew = last.withLock { last in
      defer { last = step }
      return last != step
    }
    if Console.isTerminal {
      write("\r\u{1B}[2K\(step)\(detail)")
    } else if isNew {
      Console.error(step)
    }
  }

  func finish() { if Console.isTerminal { write("\r\u{1B}[2K") } }

  private func write(_ text: String) {
    try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
  }
}
