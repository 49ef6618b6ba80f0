/// The evidence of a migration: what was done when, how long it took, who wanted it and who waived what.
package struct MigrationReport: Codable, Sendable {
  /// A stretch of time and what was reached at its end.
  package struct Part: Codable, Sendable, Hashable {
    package let step: String
    package let what: String
    package let seconds: Double

    package init(step: String, what: String, seconds: Double) {
      self.step = step
      self.what = what
      self.seconds = seconds
    }
  }

  /// The time for which clients stood still: from the moment at which the fence was up to that at which the
  /// switch hook was called.
  package struct Window: Codable, Sendable, Hashable {
    package let seconds: Double
    /// How long the plan makes end offsets stand still, which is part of it.
    package let stabilitySeconds: Double
    /// Without a gap: they add up to `seconds`.
    package let parts: [Part]

    package init(seconds: Double, stabilitySeconds: Double, parts: [Part]) {
      self.seconds = seconds
      self.stabilitySeconds = stabilitySeconds
      self.parts = parts
    }
  }

  /// A step, or a failure of it.
  package struct StepRun: Codable, Sendable, Hashable {
    package let step: String
    package let attempt: Int
    /// When it ended, in seconds since 1970.
    package let ended: Double
    /// `nil` where it failed.
    package let seconds: Double?
    package let failure: String?
    package let notes: [String]
    package let parts: [Part]

    package init(
      step: String, attempt: Int, ended: Double, seconds: Double?, failure: String?,
      notes: [String], parts: [Part]
    ) {
      self.step = step
      self.attempt = attempt
      self.ended = ended
      self.seconds = seconds
      self.failure = failure
      self.notes = notes
      self.parts = parts
    }
  }

  /// A hook that succeeded.
  package struct HookRun: Codable, Sendable, Hashable {
    package let id: String
    package let hook: String
    package let seconds: Double
    package let output: String

    package init(id: String, hook: String, seconds: Double, output: String) {
      self.id = id
      self.hook = hook
      self.seconds = seconds
      self.output = output
    }
  }

  package struct Rollback: Codable, Sendable, Hashable {
    package let predictedSeconds: Double?
    package let actualSeconds: Double
    /// What it meant to groups, and was to mean, for people.
    package let groups: [String]

    package init(predictedSeconds: Double?, actualSeconds: Double, groups: [String]) {
      self.predictedSeconds = predictedSeconds
      self.actualSeconds = actualSeconds
      self.groups = groups
    }
  }

  package struct Stage: Codable, Sendable {
    package let stage: String
    package let state: String
    package let strategy: String
    package let attempt: Int
    /// In the order in which they happened, over all attempts.
    package var steps: [StepRun] = []
    package var hooks: [HookRun] = []
    /// What people wanted: approvals, forced gates, pauses, vetoes, rollbacks, finalizing.
    package var orders: [String] = []
    /// Gates that were opened by force, in any attempt.
    package var forced: [String] = []
    /// Of the last switch.
    package var window: Window?
    package var rolledBack: Rollback?
    package var rollbackReason: String?

    package init(stage: String, state: String, strategy: String, attempt: Int) {
      self.stage = stage
      self.state = state
      self.strategy = strategy
      self.attempt = attempt
    }
  }

  package let migration: String
  package let change: String?
  package let planDigest: String
  /// Whether the journal that this was read from is as it was written, and its last hash.
  package let journal: String
  package var stages: [Stage]

  package init(
    migration: String, change: String?, planDigest: String, journal: String, stages: [Stage]
  ) {
    self.migration = migration
    self.change = change
    self.planDigest = planDigest
    self.journal = journal
    self.stages = stages
  }
}
