package import KafkaModel

/// What happened to a stage. Events come from disk and from people, so any may come at any time; the
/// machine refuses those that make no sense.
package enum StageEvent: Hashable, Sendable, Codable {
  /// An engine took the stage up, for the first time or after a stop.
  case resumed
  /// A step's postcondition was observed.
  case done(Step)
  case failed(Step, reason: String)
  /// A person, or a trigger of the plan, wants the stage back on the source.
  case rollback(reason: String)
  /// A person gives up the way back.
  case finalize
  /// A person wants a rolled-back stage to be tried again.
  case reopen
}

/// What the engine has to do next.
package enum StageEffect: Hashable, Sendable, Codable {
  case perform(Step)
  /// Stop the step that is being performed, and wait until it has stopped, before anything else.
  case cancel(Step)
}

/// An event that does not fit the phase.
package struct CutoverError: Error, Hashable, OperatorError {
  package let phase: Phase
  package let event: StageEvent

  package var summary: String {
    switch event {
    case .rollback where phase == .finalizing || phase == .finalized:
      "the stage is past its point of no return (\(phase.rawValue))"
    case .rollback where phase == .rolledBack: "the stage is rolled back already"
    case .rollback: "the stage is being rolled back already (\(phase.rawValue))"
    case .finalize: "only a soaking stage can be finalized, this one is \(phase.rawValue)"
    case .reopen: "only a rolled-back stage can be tried again, this one is \(phase.rawValue)"
    case .done(let step):
      "the journal says that \(step.rawValue) was done in \(phase.rawValue), where that cannot be"
    case .failed(let step, _):
      "the journal says that \(step.rawValue) failed in \(phase.rawValue), where that cannot be"
    case .resumed: "a stage that is \(phase.rawValue) cannot be resumed"
    }
  }

  package var hint: String { "look at the stage with `ferry status`" }
  package var runbook: String? { "states.md" }
}

/// The life of one stage, as a value: a fold over its events. Knows no clock, no file and no cluster.
package struct CutoverMachine: Hashable, Sendable {
  package let strategy: Strategy
  package private(set) var phase: Phase
  /// Why the stage stands still; cleared by ``StageEvent/resumed``.
  package private(set) var failure: Failure?
  /// Why the stage went back, if it did.
  package private(set) var rollbackReason: String?
  /// How many times the stage was tried: part of each step's idempotence key.
  package private(set) var attempt: Int

  package struct Failure: Hashable, Sendable, Codable {
    package let step: Step
    package let reason: String
  }

  package init(_ strategy: Strategy) { self.init(strategy, attempt: 1) }

  /// The step that is, or should be, going on.
  package var step: Step? { failure == nil ? phase.nextStep(strategy) : nil }

  /// What it would take to go back now.
  package var wayBack: WayBack { phase.wayBack(strategy) }

  /// Takes an event in and says what to do about it.
  ///
  /// Throws: ``CutoverError`` - the event cannot happen in this phase; nothing has changed.
  package mutating func apply(_ event: StageEvent) throws(CutoverError) -> [StageEffect] {
    switch event {
    case .resumed:
      failure = nil
      return performNext()

    case .done(let step):
      guard step == self.step else { throw CutoverError(phase: phase, event: event) }
      phase = step.reaches
      return performNext()

    case .failed(let step, let reason):
      guard step == self.step else { throw CutoverError(phase: phase, event: event) }
      return fail(step, reason)

    case .rollback(let reason):
      return try goBack(reason, event)

    case .finalize:
      guard phase == .soaking else { throw CutoverError(phase: phase, event: event) }
      phase = .finalizing
      return performNext()

    case .reopen:
      guard phase == .rolledBack else { throw CutoverError(phase: phase, event: event) }
      self = CutoverMachine(strategy, attempt: attempt + 1)
      return performNext()
    }
  }

  private init(_ strategy: Strategy, attempt: Int) {
    self.strategy = strategy
    phase = .planned
    self.attempt = attempt
  }

  private func performNext() -> [StageEffect] { step.map { [.perform($0)] } ?? [] }

  /// A failure while producers stand still, or before the move has proved itself, takes the stage back
  /// by itself: service first. Anywhere else the stage stops where it is and waits for a person.
  private mutating func fail(_ step: Step, _ reason: String) -> [StageEffect] {
    switch wayBack {
    case .withdraw:
      phase = .withdrawing
    case .recall:
      phase = .recalling
    case .retreat:
      phase = .retreating
    case .nothingToUndo, .underway, .none:
      failure = Failure(step: step, reason: reason)
      return []
    }
    rollbackReason = "\(step.rawValue) failed: \(reason)"
    return performNext()
  }

  private mutating func goBack(
    _ reason: String, _ event: StageEvent
  ) throws(CutoverError) -> [StageEffect] {
    let cancelled: [StageEffect] = step.map { [.cancel($0)] } ?? []
    switch wayBack {
    case .nothingToUndo: phase = .rolledBack
    case .withdraw: phase = .withdrawing
    case .recall: phase = .recalling
    case .retreat: phase = .retreating
    case .underway, .none: throw CutoverError(phase: phase, event: event)
    }
    failure = nil
    rollbackReason = reason
    return cancelled + performNext()
  }
}
