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

  var isEmpty: Bool { state.withLock { $0.waiting.isEmpty } }

  /// Was put here before.
  func knows(_ command: OperatorCommand) -> Bool {
    state.withLock { $0.seen.contains(command.id) }
  }

  func put(_ command: OperatorCommand) {
    state.withLock { state in
      if state.seen.insert(command.id).inserted { state.waiting.append(command) }
    }
  }

  /// For one that was taken and not answered.
  func putBack(_ command: OperatorCommand) {
    state.withLock { $0.waiting.insert(command, at: 0) }
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
  /// Wishes about strays that the stage carries out while it soaks.
  let strayQueue = CommandQueue()
  private let sentry = TopicSentry()

  enum Outcome: Sendable {
    case done(Evidence)
    case failed(String, hint: String, isDrift: Bool = false)
    case stop(any Error)
    /// Source topics have got more partitions, which are to be mirrored.
    case grown([String: Int32])
    /// A trigger of the plan.
    case event(StageEvent)
    /// A person's wish.
    case order(OperatorCommand)
    case cancelled
  }

  var stage: String { context.stage.name }

  /// Runs the stage until it rests: finalized, rolled back, or stopped by a failure.
  ///
  /// Throws: `CancellationError` - the engine is to end; `JournalError`.
  func run() async throws {
    try context.ledger.record(.resumed, stage: stage)
    Failpoint.hit("recover:resumed", stage: stage)
    try await steps.ensureMirrors()
    Failpoint.hit("recover:mirrored", stage: stage)
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
        await Failpoint.pass("begin:\(step.rawValue)", stage: stage)
        context.logger.info("\(step.rawValue): \(step.summary)")
        try await settle(step, try await race(step) { try await self.perform(step) })
      } else if machine.phase == .soaking {
        let outcome = try await race { try await self.soak() }
        try refuseStrayCommands()
        try await settle(nil, outcome)
      } else {
        await context.mirrors.stop()
        context.kit.withLock { $0 = nil }
        return
      }
    }
  }

  private func perform(_ step: Step) async throws -> Outcome {
    // Beyond these steps the gates are where a stage is held.
    if [.provision, .mirror, .catchUp, .validate].contains(step) {
      while let hold = context.ledger.hold(of: stage) {
        context.board.setWaiting(stage, "`ferry resume`, paused by \(hold.summary)")
        try await Task.sleep(for: .milliseconds(100))
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
      return .failed(
        error.summary, hint: error.hint + page,
        isDrift: (error as? EngineError)?.isDrift ?? false)
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
      if step == .follow {
        group.addTask {
          do { return try await self.watchMovedGroups() } catch is CancellationError {
            return .cancelled
          }
        }
      }
      let first = try await group.next() ?? .cancelled
      group.cancelAll()
      // What is cancelled may still act for a moment: nothing else happens until it has ended.
      while let late = try await group.next() {
        // A command that came at the same moment still wants its answer.
        if case .order(let command) = late { queue.putBack(command) }
      }
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
      case .drift(let error):
        return .failed(error.summary, hint: error.hint, isDrift: error.isDrift)
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
      try await settle(
        step,
        .failed(
          error.summary, hint: error.hint, isDrift: (error as? EngineError)?.isDrift ?? false))
    }
  }

  /// The next command that the stage's phase allows; others are answered with a refusal.
  private func nextCommand() async throws -> Outcome {
    while true {
      try await Task.sleep(for: .milliseconds(50))
      guard let command = queue.take() else { continue }
      let decision = rules.decide(command)
      if case .event(let event) = decision, let reason = try await obstacle(to: event) {
        try context.ledger.refuse(command, reason)
        continue
      }
      guard case .refuse = decision else { return .order(command) }
      try rules.settle(command, decision, accepted: "")
    }
  }

  private var rules: CommandRules { CommandRules(plan: context.plan, ledger: context.ledger) }

  /// What is seen on the clusters that keeps a person's wish from being met; `nil` where nothing does.
  private func obstacle(to event: StageEvent) async throws -> String? {
    switch event {
    case .rollback where context.machine.wayBack == .retreat:
      // Going back from the target rests on the reverse mirror: better refused now than stuck behind a
      // fence on the target. What has been decided about strays takes it a moment to go on with.
      let deadline = ContinuousClock.now + .seconds(5)
      while context.tripwire.isDeciding, ContinuousClock.now < deadline {
        try await Task.sleep(for: .milliseconds(50))
      }
      let blocks =
        try await mirrorFaults + context.tripwire.strays.map(\.summary)
        + (context.tripwire.isDeciding ? ["strays are being dealt with"] : [])
      return blocks.isEmpty ? nil : "the way back is blocked: \(blocks.joined(separator: "; "))"
    case .finalize: return try await steps.obstacleToFinalize()
    default: return nil
    }
  }

  private var mirrorFaults: [String] {
    get async throws {
      try await context.mirrors.uncheckedProgress().values.compactMap { $0.fault?.summary }.sorted()
    }
  }

  private func settle(_ step: Step?, _ outcome: Outcome) async throws {
    switch outcome {
    case .done(let evidence):
      guard let step else { return }
      await Failpoint.pass("act:\(step.rawValue)", stage: stage)
      for note in evidence.notes { context.logger.info("\(step.rawValue): \(note)") }
      try context.ledger.record(.done(step), stage: stage, evidence: evidence)
      Failpoint.hit("done:\(step.rawValue)", stage: stage)
    case .failed(let reason, let hint, let isDrift):
      guard let step else { return }
      context.hasDrifted.store(isDrift, ordering: .relaxed)
      context.logger.error("\(step.rawValue) failed: \(reason)\n  next: \(hint)")
      try context.ledger.record(.failed(step, reason: reason), stage: stage)
    case .grown(let counts):
      if let step { try await adopt(counts, step) }
    case .stop(let error):
      throw error
    case .event(let event):
      try context.ledger.record(event, stage: stage)
    case .order(let command):
      try rules.settle(command, rules.decide(command), accepted: "accepted")
    case .cancelled:
      throw CancellationError()
    }
  }
}
