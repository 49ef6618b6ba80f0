import Foundation

/// The engine process that runs a migration.
package struct LeaseHolder: Hashable, Sendable, Codable {
  /// The machine's own name for itself.
  package var host: String
  /// Who started it.
  package var user: String
  /// The operating system's number for it, meaningful on `host` alone.
  package var processID: Int32

  package init(host: String, user: String, processID: Int32) {
    self.host = host
    self.user = user
    self.processID = processID
  }

  /// This process.
  package static var current: LeaseHolder {
    let process = ProcessInfo.processInfo
    return LeaseHolder(
      host: process.hostName, user: process.userName, processID: process.processIdentifier)
  }
}

extension LeaseHolder: CustomStringConvertible {
  package var description: String { "\(user)@\(host), process \(processID)" }
}
