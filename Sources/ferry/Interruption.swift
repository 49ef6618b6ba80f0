import Dispatch
import Foundation

/// Ctrl-C and SIGTERM cancel work, so that it ends where it likes instead of anywhere.
enum Interruption {
  static func cancels<Value: Sendable>(
    _ work: @escaping @Sendable () async throws -> Value
  ) async throws -> Value {
    let task = Task { try await work() }
    let signals = [SIGINT, SIGTERM].map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler { task.cancel() }
      source.resume()
      return source
    }
    defer { for source in signals { source.cancel() } }
    return try await task.value
  }
}
