import ArgumentParser
import Cutover
import Engine
import Foundation
import Journal
import KafkaModel
import Plan

/// Exit codes, as the design and `ferry --help` list them.
enum Exit {
  static let failed: Int32 = 1
  static let usage: Int32 = 2
  static let waiting: Int32 = 3
  static let rolledBack: Int32 = 4
  static let drift: Int32 = 5
  static let bug: Int32 = 70
}

enum Failure {
  /// Tells the error and gives the exit code that stands for it.
  static func report(_ error: any Error) -> Int32 {
    if let code = error as? ExitCode { return code.rawValue }
    if let stop = error as? EngineStop {
      Console.error("ferry: \(stop.error.description)")
      return stop.code
    }
    switch error {
    case let error as any OperatorError:
      Console.error("ferry: \(error.description)")
      return code(of: error)
    case is CancellationError:
      return 128 + SIGINT
    default:
      break
    }
    // What the argument parser throws: help, version, or a usage error.
    let code = Ferry.exitCode(for: error)
    if code == .success {
      Console.out(Ferry.fullMessage(for: error))
      return 0
    }
    if code == .validationFailure {
      Console.error(Ferry.fullMessage(for: error))
      return Exit.usage
    }
    Console.error(
      "ferry: unexpected: \(error)\n  next: this is a bug; please report it with the command")
    return Exit.bug
  }

  private static func code(of error: any OperatorError) -> Int32 {
    switch error {
    case is PlanError: Exit.usage
    case let error as EngineError: error.isDrift ? Exit.drift : Exit.failed
    case JournalError.missing: Exit.usage
    case JournalError.invalid: Exit.bug
    default: Exit.failed
    }
  }
}

/// Standard output and error, written whole.
enum Console {
  static func out(_ text: String) { write(text, to: .standardOutput) }
  static func error(_ text: String) { write(text, to: .standardError) }

  private static func write(_ text: String, to handle: FileHandle) {
    try? handle.write(contentsOf: Data((text.hasSuffix("\n") ? text : text + "\n").utf8))
  }

  static func json<Value: Encodable>(_ value: Value) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    out(String(decoding: try encoder.encode(value), as: UTF8.self))
  }

  /// Somebody looks at standard error.
  static var isTerminal: Bool { isatty(STDERR_FILENO) == 1 }
}
