internal import Foundation
package import Journal
package import KafkaModel

/// Who wanted something, from where, when and why: stands in the history with what came of it.
package struct Order: Codable, Sendable, Hashable {
  /// The operating system's name for the person.
  package let user: String
  package let host: String
  /// When it was given, in seconds since 1970.
  package let time: Double
  package let reason: String?

  package init(_ command: OperatorCommand) {
    user = command.user
    host = command.host
    time = command.time.timeIntervalSince1970
    reason = command.reason
  }

  /// For people: `anna@desk: invoices late`.
  package var summary: String { "\(user)@\(host)" + (reason.map { ": \($0)" } ?? "") }
}

/// One person's yes to a stage's cutover.
package struct Approval: Codable, Sendable, Hashable {
  /// As given with `--by`, or the user's own name.
  package let by: String
  package let attempt: Int
  package let order: Order

  /// Two spellings of one name are one person: case and white space do not tell people apart.
  static func person(_ name: String) -> String {
    name.split(whereSeparator: \.isWhitespace).joined(separator: " ").lowercased()
  }
}

/// A manual hook's work was done.
package struct Acknowledgement: Codable, Sendable, Hashable {
  package let hook: String
  package let order: Order
}

/// A gate of the plan that a person has opened by force, for one attempt of the stage.
package struct Waiver: Codable, Sendable, Hashable {
  package let gate: String
  package let attempt: Int
  package let order: Order

  package var summary: String { "FORCED gate \(gate) by \(order.summary)" }
}

/// A stage that a person holds before its fence, or lets go on.
package struct Hold: Codable, Sendable, Hashable {
  package let isHeld: Bool
  package let order: Order
}

/// A trigger of automatic rollback that a person has stopped, until its condition clears.
package struct Veto: Codable, Sendable, Hashable {
  /// The trigger's number in the plan's `rollbackOn`.
  package let trigger: Int
  package let attempt: Int
  /// `nil` where the condition has cleared: the trigger counts again.
  package let order: Order?
}

/// A comparison that found no difference in all that was mirrored when it began.
package struct Proof: Codable, Sendable, Hashable {
  package let attempt: Int
  /// When it began, in seconds since 1970.
  package let time: Double
  /// Up to where, by the partition's name on the source.
  package let ends: [TopicPartition: Offset]
}
