internal import Foundation
package import Kafka
package import KafkaModel
package import Logging

/// Two real brokers behind fault proxies, for tests: a child process that ends with this one.
///
/// Which kind they are is the environment's choice: see README.md, "Working on this".
package actor Sandbox {
  package let kind: String
  private let process: Process
  private let commands: FileHandle
  private let answers: LineReader
  private let bootstrap: [ClusterRole: String]
  /// The brokers' own addresses, past the proxies.
  private let direct: [ClusterRole: String]

  private struct Ready: Decodable {
    struct Broker: Decodable {
      let bootstrap: String
      let direct: String
    }
    let kind: String
    let brokers: [String: Broker]
  }

  /// The sandbox could not be started or refused a command.
  package struct SandboxError: Error, CustomStringConvertible {
    package let description: String
  }

  /// The sandbox that all suites of a test process share. Ends with the process, whose end closes its
  /// standard input.
  package static let shared = Task { try Sandbox() }

  /// Apache Kafka can be had here, for what other brokers cannot do.
  package static var hasKafka: Bool { ProcessInfo.processInfo.environment["KAFKA_HOME"] != nil }

  /// The brokers are the sandbox's own, to be disturbed as tests like.
  package static var canDisturb: Bool {
    ProcessInfo.processInfo.environment["FERRY_TEST_SOURCE"] == nil
  }

  /// Starts a sandbox of its own; `options` are those of `sandbox.py serve`.
  package init(options: [String] = []) throws {
    let directory = FileManager.default.temporaryDirectory
      .appendingPathComponent("ferry-tests-\(UUID().uuidString)")
    process = try Self.script(
      "sandbox.py",
      ["serve", "--brokers", "source,target", "--dir", directory.path] + options)
    let input = Pipe()
    let output = Pipe()
    process.standardInput = input
    process.standardOutput = output
    try process.run()
    commands = input.fileHandleForWriting
    answers = LineReader(output.fileHandleForReading)
    guard let line = answers.next() else {
      throw SandboxError(description: "the sandbox ended at once; its words are above")
    }
    let ready = try JSONDecoder().decode(Ready.self, from: Data(line.utf8))
    kind = ready.kind
    var bootstrap: [ClusterRole: String] = [:]
    var direct: [ClusterRole: String] = [:]
    for role in ClusterRole.allCases {
      bootstrap[role] = ready.brokers[role.rawValue]?.bootstrap
      direct[role] = ready.brokers[role.rawValue]?.direct
    }
    self.bootstrap = bootstrap
    self.direct = direct
  }

  /// A script of `Tests/Sandbox` in the sandbox's environment, not yet started.
  private static func script(_ name: String, _ arguments: [String]) throws -> Process {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let python = root.appendingPathComponent(".venv-sandbox/bin/python")
    guard FileManager.default.isExecutableFile(atPath: python.path) else {
      throw SandboxError(description: "no \(python.path): run Tests/Sandbox/setup first")
    }
    let process = Process()
    process.executableURL = python
    process.arguments =
      [root.appendingPathComponent("Tests/Sandbox/\(name)").path] + arguments
    return process
  }

  /// Writes transactions, for instance `["commit:3", "abort:2"]`; values count all records. Past the
  /// proxies: no fault disturbs them.
  package func writeTransactions(
    _ steps: [String], to partition: TopicPartition, on role: ClusterRole
  ) async throws {
    try await transact([partition.topic, String(partition.partition)] + steps, role)
  }

  /// As ``writeTransactions(_:to:on:)``, over a topic's partitions: record n has the key `key K`, where K is
  /// n modulo `keys`, and goes to partition K, modulo their number.
  package func writeTransactions(
    _ steps: [String], to topic: String, partitions: Int, keys: Int, on role: ClusterRole
  ) async throws {
    try await transact([topic, String(partitions), "keys:\(keys)"] + steps, role)
  }

  private func transact(_ arguments: [String], _ role: ClusterRole) async throws {
    let process = try Self.script("transact.py", [direct[role]!] + arguments)
    try await withCheckedThrowingContinuation { continuation in
      process.terminationHandler = { _ in continuation.resume() }
      do { try process.run() } catch { continuation.resume(throwing: error) }
    }
    guard process.terminationStatus == 0 else {
      throw SandboxError(description: "the transactions failed; the script's words are above")
    }
  }

  /// How to reach a broker; `properties` are librdkafka's.
  ///
  /// - Parameter pastProxy: whether faults do not matter to this connection.
  package func connection(
    _ role: ClusterRole, pastProxy: Bool = false, properties: [String: String] = [:],
    logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
  ) -> ClusterConnection {
    var all = properties
    all["bootstrap.servers"] = pastProxy ? direct[role] : bootstrap[role]
    return ClusterConnection(name: role.rawValue, properties: all, logger: logger)
  }

  /// Ends the brokers.
  package func stop() {
    try? commands.close()
    process.waitUntilExit()
  }

  /// Disturbs a broker, or heals it: see `sandbox.py serve`.
  package func disturb(
    _ role: ClusterRole, _ action: String, _ more: [String: any Sendable] = [:]
  ) throws {
    var command: [String: Any] = ["do": action, "broker": role.rawValue]
    for (name, value) in more { command[name] = value }
    var line = try JSONSerialization.data(withJSONObject: command)
    line.append(UInt8(ascii: "\n"))
    try commands.write(contentsOf: line)
    guard let answer = answers.next(), answer.contains("\"ok\": true") else {
      throw SandboxError(description: "the sandbox refused \(action)")
    }
  }

  /// A topic of a name that no other test has, created on one broker.
  package func topic(
    on role: ClusterRole, partitions: Int32 = 1, config: [String: String] = [:]
  ) async throws -> String {
    let name = "test-\(UUID().uuidString)"
    var config = config
    // Tests' timestamps are old: retention would take the records, at once or a minute later.
    if config["retention.ms"] == nil { config["retention.ms"] = "-1" }
    let admin = try Admin(connection(role))
    try await admin.createTopic(name, partitions: partitions, replicationFactor: 1, config: config)
    let deadline = ContinuousClock.now + .seconds(20)
    // A partition that was just created may have no leader yet.
    let all = (0..<partitions).map { TopicPartition(name, $0) }
    while (try? await admin.bounds(of: all)) == nil, ContinuousClock.now < deadline {
      try await Task.sleep(for: .milliseconds(50))
    }
    return name
  }
}

/// Splits what a file handle gives into lines.
private final class LineReader {
  private let handle: FileHandle
  private var buffer = Data()

  init(_ handle: FileHandle) { self.handle = handle }

  /// The next line without its end; `nil` at the end of the file. Blocks.
  func next() -> String? {
    while true {
      if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
        defer { buffer.removeSubrange(...end) }
        return String(decoding: buffer[..<end], as: UTF8.self)
      }
      let more = handle.availableData
      if more.isEmpty { return nil }
      buffer.append(more)
    }
  }
}
