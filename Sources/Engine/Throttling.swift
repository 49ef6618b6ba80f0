package import Journal
internal import Kafka
package import KafkaModel
internal import Mirror
internal import Plan

/// A rate that an operator set, as journalled. It replaces the plan's for the rest of the migration.
package struct Throttling: Codable, Sendable, Hashable {
  /// Which of the mirrors' budgets.
  package enum Budget: String, Codable, CodingKeyRepresentable, Sendable, CaseIterable {
    case backfill, tail
  }

  /// Bytes a second; 0 is no limit. Budgets that are not named stay as they are.
  package let rates: [Budget: Int64]
  package let by: String
  package let host: String
  package let reason: String?

  /// What a command's arguments ask for; `nil` where they name no rate.
  init?(_ command: OperatorCommand) {
    self.init(
      arguments: command.arguments, by: command.user, host: command.host, reason: command.reason)
  }

  private init?(arguments: String, by: String, host: String, reason: String?) {
    guard let named = try? JSON.value([String: Int64].self, arguments) else { return nil }
    var rates: [Budget: Int64] = [:]
    for (name, rate) in named {
      guard let budget = Budget(rawValue: name), rate >= 0 else { return nil }
      rates[budget] = rate
    }
    guard !rates.isEmpty else { return nil }
    self.rates = rates
    self.by = by
    self.host = host
    self.reason = reason
  }

  /// What holds: the plan's rates, and what operators have set since. Budgets without a limit are left
  /// out.
  static func rates(_ plan: MirrorPlan, _ set: [Budget: Int64]) -> [Budget: Int64] {
    let planned = [Budget.backfill: plan.bytesPerSecond, .tail: plan.tailBytesPerSecond]
    return planned.compactMapValues(\.self).merging(set) { _, set in set }.filter { $0.value > 0 }
  }

  /// Journals a command where no engine runs: the next one begins with its rates.
  ///
  /// Throws: `JournalError` - above all that an engine runs after all.
  package static func note(_ command: NewCommand, in journal: MigrationJournal) throws {
    guard
      let throttling = Throttling(
        arguments: command.arguments, by: command.user, host: command.host, reason: command.reason)
    else { throw EngineError.commandRefused("the command names no rate") }
    let lease = try journal.acquireLease(
      holder: .current, duration: LeaseKeeper.duration)
    defer { journal.release(lease) }
    try Ledger(journal, lease: lease).record(.throttle, stage: nil, throttling)
  }
}

extension MirrorBudgets {
  /// The plan's rates, and what operators have set since.
  init(_ plan: MirrorPlan, _ rates: [Throttling.Budget: Int64]) {
    self.init(backfill: plan.bytesPerSecond, tail: plan.tailBytesPerSecond)
    set(rates)
  }

  /// Takes over rates that operators have set.
  func set(_ rates: [Throttling.Budget: Int64]) {
    for (budget, rate) in rates {
      let throttle = budget == .backfill ? backfill : tail
      let limit = rate == 0 ? nil : rate
      if throttle.bytesPerSecond != limit { throttle.bytesPerSecond = limit }
    }
  }
}

/// Records that the source dropped before they were mirrored, and that the plan gave up, as journalled.
package struct AcceptedGap: Codable, Sendable, Hashable {
  /// By its name on the source.
  package let partition: TopicPartition
  package let from: Offset
  /// The first offset behind the gap.
  package let to: Offset
}
