internal import AsyncHTTPClient
internal import Foundation
internal import Kafka
internal import KafkaModel
internal import NIOCore
internal import NIOHTTP1
internal import Plan
internal import Subprocess
internal import SystemPackage

/// What a hook is called for.
struct HookCall: Sendable {
  enum Action: String, Sendable {
    case fence, unfence, pause, resume, gate
    case switchClients = "switch"
  }

  let action: Action
  let stage: String
  let attempt: Int
  /// The cluster that is fenced, unfenced or paused; for switch and resume the one clients go to.
  let cluster: ClusterRole
  var group: String?
  /// The gate that is asked, where one is.
  var gate: String?

  /// The idempotence key: the same for every repetition after a crash.
  var stepID: String {
    [stage, String(attempt), action.rawValue, gate ?? cluster.rawValue, group].compactMap { $0 }
      .joined(separator: "/")
  }
}

/// Runs the plan's hooks. Their output is kept, with secrets struck out.
struct HookRunner: Sendable {
  let plan: MigrationPlan
  let clusters: Clusters
  /// Whether somebody acknowledged a manual hook.
  let isAcknowledged: @Sendable (String) -> Bool
  /// Told a manual hook's id and what a person is asked to do; `nil` once that is done.
  let onWaiting: @Sendable (String, String?) -> Void

  /// Runs a hook to its end.
  ///
  /// Returns: what it printed.
  /// Throws: ``EngineError/hookFailed(hook:reason:output:)``, `CancellationError`.
  func run(_ hook: Hook, _ call: HookCall) async throws -> String {
    switch hook.action {
    case .exec(let arguments): return try await execute(arguments, hook, call)
    case .http(let method, let url, let body, let expect):
      return try await request(method, url, body, expect, hook, call)
    case .manual(let text):
      onWaiting(call.stepID, text)
      defer { onWaiting(call.stepID, nil) }
      while !isAcknowledged(call.stepID) { try await Task.sleep(for: .milliseconds(100)) }
      return ""
    }
  }

  /// How much of what a hook prints or answers is kept, in bytes.
  private static let keptOutput = 2000

  private func environment(_ call: HookCall) -> [String: String] {
    var values = [
      "FERRY_STEP_ID": "\(plan.name)/\(call.stepID)", "FERRY_MIGRATION": plan.name,
      "FERRY_STAGE": call.stage, "FERRY_ACTION": call.action.rawValue,
      "FERRY_CLUSTER": call.cluster.rawValue,
      "FERRY_BOOTSTRAP": plan.cluster(call.cluster).bootstrap.joined(separator: ","),
      "FERRY_ATTEMPT": String(call.attempt),
    ]
    values["FERRY_GROUP"] = call.group
    values["FERRY_GATE"] = call.gate
    return values
  }

  private func execute(
    _ arguments: [String], _ hook: Hook, _ call: HookCall
  ) async throws -> String {
    // A file rather than a pipe: a hook may leave children behind that keep its output open.
    let path = FileManager.default.temporaryDirectory
      .appendingPathComponent("ferry-hook-\(UUID().uuidString)").path
    let file = try FileDescriptor.open(
      FilePath(path), .readWrite, options: [.create, .exclusiveCreate],
      permissions: .ownerReadWrite)
    // Nobody else needs its name, and it must not outlive an engine that is killed.
    unsafe unlink(path)
    defer { try? file.close() }
    var options = PlatformOptions()
    options.processGroupID = 0
    options.teardownSequence = [
      .gracefulShutDown(allowedDurationToNextStep: .seconds(1))
    ]
    let platformOptions = options
    let program = arguments[0]
    let executable: Executable =
      program.contains("/")
      ? .path(FilePath(program.hasPrefix("/") ? program : "\(plan.directory)/\(program)"))
      : .name(program)
    let variables = Dictionary(
      uniqueKeysWithValues: environment(call).map {
        (Environment.Key(rawValue: $0.key)!, Optional($0.value))
      })
    let output = FileDescriptorOutput.fileDescriptor(file, closeAfterSpawningProcess: false)
    let status: TerminationStatus?
    do {
      status = try await withTimeout(hook.timeout) {
        try await Subprocess.run(
          executable, arguments: Arguments(Array(arguments.dropFirst())),
          environment: .inherit.updating(variables),
          workingDirectory: FilePath(plan.directory), platformOptions: platformOptions,
          output: output, error: output
        ).terminationStatus
      }
    } catch let error as CancellationError {
      throw error
    } catch {
      throw EngineError.hookFailed(hook: hook.summary, reason: "\(error)", output: "")
    }
    let printed = redact(Self.head(of: file))
    guard let status else {
      try Task.checkCancellation()
      throw EngineError.hookFailed(
        hook: hook.summary, reason: "it ran longer than \(hook.timeout)", output: printed)
    }
    guard case .exited(0) = status else {
      throw EngineError.hookFailed(
        hook: hook.summary, reason: "it ended with \(status)", output: printed)
    }
    return printed
  }

  private func request(
    _ method: String, _ url: String, _ body: String?, _ expect: Int, _ hook: Hook, _ call: HookCall
  ) async throws -> String {
    var request = HTTPClientRequest(url: url)
    request.method = .RAW(value: method)
    for (name, value) in environment(call) {
      request.headers.add(name: name.replacing("_", with: "-"), value: value)
    }
    if let body { request.body = .bytes(ByteBuffer(string: body)) }
    let sent = request
    do {
      // Not the client's own timeout: it ends with the answer's head, and has no words for people.
      let answer = try await withTimeout(hook.timeout) {
        let response = try await HTTPClient.shared.execute(sent, deadline: .distantFuture)
        var head = ByteBuffer()
        for try await part in response.body where head.readableBytes < Self.keptOutput {
          head.writeImmutableBuffer(part)
        }
        return (response.status.code, head)
      }
      guard let (code, body) = answer else {
        try Task.checkCancellation()
        throw EngineError.hookFailed(
          hook: hook.summary, reason: "it ran longer than \(hook.timeout)", output: "")
      }
      let text = String(redact(String(buffer: body)).prefix(Self.keptOutput))
      guard Int(code) == expect else {
        throw EngineError.hookFailed(
          hook: hook.summary, reason: "it answered \(code)", output: text)
      }
      return text
    } catch let error as EngineError {
      throw error
    } catch {
      try Task.checkCancellation()
      throw EngineError.hookFailed(hook: hook.summary, reason: "\(error)", output: "")
    }
  }

  private static func head(of file: SystemPackage.FileDescriptor) -> String {
    let handle = FileHandle(fileDescriptor: file.rawValue, closeOnDealloc: false)
    try? handle.seek(toOffset: 0)
    let bytes = (try? handle.read(upToCount: keptOutput)) ?? Data()
    return String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
  }

  /// Strikes out every secret that the plan refers to.
  func redact(_ text: String) -> String {
    var text = text
    for role in ClusterRole.allCases {
      for (property, value) in plan.cluster(role).client {
        if case .literal = value { continue }
        let secret = clusters.connection(role).properties[property] ?? ""
        if !secret.isEmpty { text = text.replacing(secret, with: "[redacted]") }
      }
    }
    return text
  }
}

/// Runs `body`, cancelling it after `limit`.
///
/// Returns: `nil` where the limit came first.
func withTimeout<Result: Sendable>(
  _ limit: Duration, _ body: @escaping @Sendable () async throws -> Result
) async throws -> Result? {
  try await withThrowingTaskGroup(of: Result?.self) { group in
    group.addTask { try await body() }
    group.addTask {
      try await Task.sleep(for: limit)
      return nil
    }
    defer { group.cancelAll() }
    let first = try await group.next() ?? nil
    group.cancelAll()
    return first
  }
}
