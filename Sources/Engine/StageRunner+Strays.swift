internal import Cutover
internal import Journal
internal import Kafka
internal import KafkaModel
internal import Logging
internal import Mirror
internal import Plan

/// Why strays could not be copied to the target last; tried again after a pause.
struct ForwardingTrouble {
  fileprivate(set) var text: String?
  fileprivate var until: ContinuousClock.Instant?
}

extension StageRunner {
  /// Copies strays to the target, where a person or the plan wants that, and sees what became of copies
  /// that were under way. To be called while the stage soaks, by the same task that sends it back: a target that
  /// is being fenced must not be written to.
  func forwardStrays(_ trouble: inout ForwardingTrouble) async throws {
    if let until = trouble.until, .now < until, strayQueue.isEmpty { return }
    do {
      // An operator's wish cancels the soaking, but not this: it would not be known what arrived.
      try await Task { try await self.forwardNext() }.value
      trouble = ForwardingTrouble()
    } catch let error as any OperatorError where !(error is JournalError) {
      context.logger.error("strays are not forwarded: \(error.summary)")
      trouble.text = "the target to take strays: \(error.summary); tried again every 5 s"
      trouble.until = .now + .seconds(5)
    }
  }

  /// Answers commands that the soaking stage has not come to.
  func refuseStrayCommands() throws {
    while let command = strayQueue.take() {
      try context.ledger.refuse(command, "the stage no longer soaks")
    }
  }

  private func forwardNext() async throws {
    let forwarder = StrayForwarder(
      stage: stage, clusters: context.clusters, ledger: context.ledger, logger: context.logger)
    let command = strayQueue.take()
    do {
      if let open = context.ledger.forwarding(of: stage) {
        let decisions = try await forwarder.finish(open, isFresh: false, for: command)
        context.tripwire.decide(decisions.flatMap(\.strays), isAwaitingQuiet: true)
        // The command has its answer.
        if command != nil { return }
      }
      if let command {
        try await decide(forwarder, command)
      } else if context.stage.strays == .forward {
        try await decide(forwarder, nil)
      }
    } catch {
      guard let command, try context.ledger.journal.command(command.id)?.outcome == nil,
        context.ledger.forwarding(of: stage)?.command != command.id
      else { throw error }
      let reason = (error as? any OperatorError)?.summary ?? "\(error)"
      try context.ledger.refuse(command, reason)
      throw error
    }
  }

  /// Decides about strays as a command asks, or as the plan does.
  private func decide(_ forwarder: StrayForwarder, _ command: OperatorCommand?) async throws {
    let claimed: [StrayWrite]
    do {
      claimed = try context.tripwire.claim { open in
        guard let command else { return open }
        return try StrayDesk.wanted(command, open, context.ledger)
      }
    } catch EngineError.commandRefused { return }
    guard !claimed.isEmpty else { return }
    defer { context.tripwire.release(claimed) }
    if let command, !StrayDesk.isToForward(command) {
      _ = try StrayDesk.leave(claimed, command, stage, context.ledger)
      return context.tripwire.decide(claimed)
    }
    let (intended, own) = try await forwarder.intend(
      try await stopMirror(at: claimed), order: command.map(Order.init), command: command?.id)
    if !own.isEmpty { context.tripwire.decide(own) }
    guard let forwarding = intended else {
      if let command {
        try context.ledger.refuse(
          command, "no stray record can be read there; `ferry strays` looks again")
      }
      return
    }
    let decisions = try await forwarder.finish(forwarding, isFresh: true)
    context.tripwire.decide(decisions.flatMap(\.strays), isAwaitingQuiet: true)
  }

  /// Sees the reverse mirror stop at strays that it has not met yet, for it had nothing to write there: see
  /// ``StrayForwarder``.
  ///
  /// Returns: those at which it has stopped; the others were its own.
  private func stopMirror(at strays: [StrayWrite]) async throws -> [StrayWrite] {
    let before = try await context.mirrors.uncheckedProgress()
    if strays.contains(where: { before[$0.partition]?.fault == nil }) {
      try await context.mirrors.restart()
    }
    var progress: [TopicPartition: PartitionProgress] = [:]
    try await steps.wait(.seconds(60)) {
      progress = try await context.mirrors.uncheckedProgress()
      return strays.allSatisfy { progress[$0.partition] != nil }
    } onTimeout: {
      KafkaError.timedOut("reconcile partitions with strays", cluster: "source")
    }
    return strays.filter { progress[$0.partition]?.fault != nil }
  }
}
