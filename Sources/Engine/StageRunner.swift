internal import Cutover
internal import Foundation
internal import Journal
internal import Kafka
internal import KafkaModel
internal import Logging
internal import Mirror
internal import Plan
internal import Synchronization

/// Operators' commands that wait for their stage, each taken once: it stays open in the journal until
/// its effect is recorded, and must not be seen as a new one meanwhile.
final class CommandQueue: Sendable {
  private struct State {
    var waiting: [OperatorCommand] = []
    var seen: Set<Int64> = []
  }

  private let state = Mutex(State())

  func put(_ command: OperatorCommand) {
    state.withLock { state in
      if state.seen.insert(command.id).inserted { state.waiting.append(command) }
    }
  }

  func take() -> OperatorCommand? {
    state.withLock { $0.waiting.isEmpty ? nil : $0.waiting.removeFirst() }
  }
}

/// Carries one stage from phase to phase: performs the step that its machine names, journals what came
/// of it, and listens to operators meanwhile.
struct StageRunner: Sendable {
  let context: StageContext
  let steps: StageSteps
  let queue = CommandQueue()
  private let sentry = TopicSentry()
  /// Whether the stage may enter its window now; another one may be in its own.
  let mayFence: @Sendable () -> Bool

  private enum Outcome: Sendable {
    case done(Evidence)
    case failed(String, hint: String)
    case stop(any Error)
    /// Source topics have got more partitions, which are to be mirrored.
    case grown([String: Int32])
    case event(StageEvent, command: Int64?)
    case cancelled
  }

  private var stage: String { context.stage.name }

  /// Runs the stage until it rests: finalized, rolled back, or stopped by a failure.
  ///
  /// Throws: `CancellationError` - the engine is to end; `JournalError`.
  func run() async throws {
    try context.ledger.record(.resumed, stage: stage)
    try await steps.ensureMirrors()
    while true {
      try Task.checkCancellation()
      let machine = context.machine
      // What is predicted now is held against what it took, whoever sent the stage back.
      if machine.wayBack == .underway,
        context.ledger.forecast(stage, attempt: machine.attempt) == nil,
        let forecast = RollbackForecaster(context: context).forecast()
      {
        try context.ledger.record(.forecast, stage: stage, forecast)
      }
      if let step = machine.step {
        Failpoint.hit("begin:\(step.rawValue)")
        context.logger.info("\(step.rawValue): \(step.summary)")
        try await settle(step, try await race(step) { try await self.perform(step) })
      } else if machine.phase == .soaking {
        try await settle(nil, try await race { try await self.soak() })
      } else {
        await context.mirrors.stop()
        return
      }
    }
  }

  private func perform(_ step: Step) async throws -> Outcome {
    if step == .fence || step == .carryGroups {
      while !mayFence() {
        context.board.setWaiting(stage, "an earlier stage to reach `soaking`")
        try await Task.sleep(for: .milliseconds(200))
      }
      context.board.setWaiting(stage, nil)
    }
    do {
      if Self.watched.contains(step), let drift = steps.recreatedTopic { throw drift }
      return .done(try await steps.perform(step))
    } catch let error as CancellationError {
      throw error
    } catch let error as JournalError {
      // Without its journal the engine must not go on, nor judge the step.
      return .stop(error)
    } catch let error as any OperatorError {
      let page = error.runbook.map { "; see Runbooks/\($0)" } ?? ""
      return .failed(error.summary, hint: error.hint + page)
    } catch {
      return .failed("\(error)", hint: "see the log above")
    }
  }

  /// Runs `body` until it ends or an operator's command changes the stage's course; then `body` is
  /// cancelled, and waited for.
  private func race(
    _ step: Step? = nil, _ body: @escaping @Sendable () async throws -> Outcome
  ) async throws -> Outcome {
    try await withThrowingTaskGroup(of: Outcome.self) { group in
      group.addTask {
        do { return try await body() } catch is CancellationError { return .cancelled }
      }
      group.addTask {
        do { return try await self.nextCommand() } catch is CancellationError { return .cancelled }
      }
      if let step, Self.watched.contains(step) {
        group.addTask {
          do { return try await self.watchTopics() } catch is CancellationError {
            return .cancelled
          }
        }
      }
      let first = try await group.next() ?? .cancelled
      group.cancelAll()
      // What is cancelled may still act for a moment: nothing else happens until it has ended.
      while try await group.next() != nil {}
      return first
    }
  }

  /// Steps during which producers write to the source, and records are carried to the target.
  private static let watched: Set<Step> = [.mirror, .catchUp, .validate, .approve]

  /// Looks after the source's topics, until something is wrong with one or it has grown.
  private func watchTopics() async throws -> Outcome {
    while true {
      switch try await sentry.look(context) {
      case .grown(let counts): return .grown(counts)
      case .drift(let error): return .failed(error.summary, hint: error.hint)
      case nil: try await Task.sleep(for: TopicSentry.interval)
      }
    }
  }

  /// Takes new partitions in. The mirror starts anew with the step, and with them.
  private func adopt(_ counts: [String: Int32], _ step: Step) async throws {
    do {
      for topic in context.topics {
        guard let count = counts[topic.name] else { continue }
        try await steps.adopt(topic, count: count)
        context.logger.info("\(topic.name) has \(count) partitions now; all are mirrored")
      }
      await context.mirrors.stop()
    } catch let error as any OperatorError where !(error is JournalError) {
      try await settle(step, .failed(error.summary, hint: error.hint))
    }
  }

  /// The next command that the stage's phase allows; others are answered with a refusal.
  private func nextCommand() async throws -> Outcome {
    while true {
      try await Task.sleep(for: .milliseconds(50))
      guard let command = queue.take() else { continue }
      guard let event = Self.event(of: command) else { continue }
      if let reason = try await refusal(event) {
        try context.ledger.refuse(command, reason)
        continue
      }
      return .event(event, command: command.id)
    }
  }

  /// Why a person's wish cannot be met now; `nil` where it can.
  private func refusal(_ event: StageEvent) async throws -> String? {
    var machine = context.machine
    do {
      _ = try machine.apply(event)
    } catch {
      return error.summary
    }
    // Going back from the target rests on the reverse mirror: better refused now than stuck behind a
    // fence on the target.
    guard case .rollback = event, context.machine.wayBack == .retreat else { return nil }
    let faults = try await context.mirrors.uncheckedProgress().values.compactMap(\.fault?.summary)
    let blocks = faults.sorted() + context.tripwire.strays.map(\.summary)
    return blocks.isEmpty ? nil : "the way back is blocked: \(blocks.joined(separator: "; "))"
  }

  static func event(of command: OperatorCommand) -> StageEvent? {
    switch command.kind {
    case "rollback":
      .rollback(reason: command.reason ?? "asked for by \(command.user)@\(command.host)")
    case "finalize": .finalize
    default: nil
    }
  }

  private func settle(_ step: Step?, _ outcome: Outcome) async throws {
    switch outcome {
    case .done(let evidence):
      guard let step else { return }
      Failpoint.hit("act:\(step.rawValue)")
      for note in evidence.notes { context.logger.info("\(step.rawValue): \(note)") }
      try context.ledger.record(.done(step), stage: stage, evidence: evidence)
      Failpoint.hit("done:\(step.rawValue)")
    case .failed(let reason, let hint):
      guard let step else { return }
      context.logger.error("\(step.rawValue) failed: \(reason)\n  next: \(hint)")
      try context.ledger.record(.failed(step, reason: reason), stage: stage)
    case .grown(let counts):
      if let step { try await adopt(counts, step) }
    case .stop(let error):
      throw error
    case .event(let event, let command):
      let answer = command.map {
        (command: $0, outcome: CommandOutcome(accepted: true, message: "accepted"))
      }
      try context.ledger.record(event, stage: stage, answer: answer)
    case .cancelled:
      throw CancellationError()
    }
  }

  /// Watches the moved clients until a person decides or a trigger of the plan fires.
  private func soak() async throws -> Outcome {
    let start = ContinuousClock.now
    var above: [Int: ContinuousClock.Instant] = [:]
    defer { context.board.setWaiting(stage, nil) }
    while true {
      let left = context.stage.soak - (ContinuousClock.now - start)
      context.board.setWaiting(
        stage,
        left > .zero
          ? "soaking for another \(Int((left / .seconds(1)).rounded(.up))) s; then `ferry finalize` or `ferry rollback`"
          : "a person: `ferry finalize` or `ferry rollback`")
      for (index, trigger) in context.stage.rollbackOn.enumerated() {
        var worst: (group: String, lag: Int64) = ("", -1)
        for group in context.groups {
          do {
            let lag = try await steps.groupLag(group, .target)
            if lag > worst.lag { worst = (group, lag) }
          } catch let error as KafkaError {
            // A cluster that cannot be asked is no reason to stop the reverse mirror.
            context.logger.warning("\(error.summary)")
          }
        }
        guard worst.lag > trigger.groupLagAbove else {
          above[index] = nil
          continue
        }
        let since = above[index] ?? .now
        above[index] = since
        if ContinuousClock.now - since >= trigger.sustained {
          let what = "group \(worst.group) is \(worst.lag) records behind for \(trigger.sustained)"
          return .event(.rollback(reason: EngineError.trigger(what).summary), command: nil)
        }
      }
      try await Task.sleep(for: .milliseconds(500))
    }
  }
}
