internal import Journal
internal import Kafka

/// Holds a migration's lease for as long as something is done under it, and sees to it that nothing is
/// done after it.
///
/// Invariant: this process runs only while no other engine can have taken the lease over. The kernel
/// ends it before the lease that was last renewed runs out, even where it was stopped meanwhile, so an
/// engine that wakes after another one took over writes neither to the clusters nor to the journal.
struct LeaseKeeper: Sendable {
  /// How long a lease lasts after each renewal.
  static let duration = Duration.seconds(15)
  /// Seconds after a renewal at which this process ends. What is left of the lease is for clocks that do
  /// not agree, and for what is under way to the brokers.
  private static let deadlineSeconds = 12

  let journal: MigrationJournal
  let lease: Lease
  private let deadline: ProcessDeadline

  /// Takes the lease. Waits a moment where an operator's command has it for its own work.
  ///
  /// Throws: `JournalError.held`; `EngineError.notSupported` - the kernel gives no timer.
  init(_ journal: MigrationJournal) async throws {
    guard let deadline = ProcessDeadline() else {
      throw EngineError.notSupported("a kernel that has no timer left for this process")
    }
    self.journal = journal
    self.deadline = deadline
    lease = try await Self.take(journal, deadline)
  }

  private static func take(
    _ journal: MigrationJournal, _ deadline: ProcessDeadline
  ) async throws -> Lease {
    let patience = ContinuousClock.now + .seconds(3)
    while ContinuousClock.now < patience {
      let moment = ProcessDeadline.Moment.now
      if let lease = try? journal.acquireLease(holder: .current, duration: duration) {
        deadline.set(moment.plus(seconds: deadlineSeconds))
        return lease
      }
      try await Task.sleep(for: .milliseconds(100))
    }
    let moment = ProcessDeadline.Moment.now
    let lease = try journal.acquireLease(holder: .current, duration: duration)
    deadline.set(moment.plus(seconds: deadlineSeconds))
    return lease
  }

  /// Runs `body` and renews the lease meanwhile, until it has ended, cancelled or not; gives the lease
  /// back afterwards.
  ///
  /// Throws: what `body` throws; `JournalError` - the lease could not be renewed: `body` was cancelled.
  func during<Value: Sendable>(
    _ body: @escaping @Sendable () async throws -> Value
  ) async throws -> Value {
    let work = Task { try await body() }
    let keeping = Task { await keep { work.cancel() } }
    let result = await withTaskCancellationHandler {
      await work.result
    } onCancel: {
      work.cancel()
    }
    keeping.cancel()
    let lost = await keeping.value
    journal.release(lease)
    do {
      if let lost { throw lost }
      let value = try result.get()
      deadline.lift()
      return value
    } catch {
      // Something may be under way still: this process has a moment to say why it ends.
      deadline.set(.now.plus(seconds: Self.isFenced(error) ? 2 : Self.deadlineSeconds))
      throw error
    }
  }

  /// Renews the lease until cancelled.
  ///
  /// Returns: why it could not be renewed, if so.
  private func keep(onLoss: () -> Void) async -> (any Error)? {
    while (try? await Task.sleep(for: .seconds(1))) != nil {
      do {
        try renew()
      } catch {
        onLoss()
        return error
      }
    }
    return nil
  }

  private func renew() throws {
    let moment = ProcessDeadline.Moment.now
    do {
      try journal.renew(lease, duration: Self.duration)
    } catch {
      if Self.isFenced(error) { deadline.set(.now.plus(seconds: 2)) }
      throw error
    }
    deadline.set(moment.plus(seconds: Self.deadlineSeconds))
  }

  private static func isFenced(_ error: any Error) -> Bool {
    if case JournalError.fenced = error { true } else { false }
  }
}
