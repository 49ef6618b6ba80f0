internal import Cutover
internal import Foundation
internal import Kafka
internal import KafkaModel
internal import Mirror
internal import Plan

/// Performs a stage's steps. Each may be performed again after a crash at any point of it, and returns
/// only when its postcondition was seen.
struct StageSteps: Sendable {
  let context: StageContext

  /// Performs one step.
  ///
  /// Returns: what it observed.
  /// Throws: `CancellationError`; any other error is the step's failure.
  func perform(_ step: Step) async throws -> Evidence {
    let start = ContinuousClock.now
    var evidence =
      switch step {
      case .provision: try await provision()
      case .mirror: try await mirror()
      case .catchUp: try await catchUp()
      case .validate: try await validate()
      case .approve: try await approve()
      case .fence: try await fenceSource()
      case .drain: try await drain(.forward, after: .fence)
      case .seal: try await seal()
      case .translate: try await translate(.forward)
      case .carryGroups: try await carryGroups()
      case .moveGroups: try await moveGroups()
      case .follow: try await follow()
      case .armReverse: try await armReverse()
      case .switchClients: try await switchClients()
      case .observe: try await observe()
      case .finalize: try await finalize()
      case .withdraw: try await withdraw()
      case .recallGroups: try await recallGroups()
      case .fenceTarget: try await fence(.target)
      case .drainReverse: try await drain(.reverse, after: .fenceTarget)
      case .sealReverse: try await sealReverse()
      case .translateBack: try await translate(.reverse)
      case .returnClients: try await returnClients()
      case .release: try await release()
      }
    evidence.seconds = (ContinuousClock.now - start) / .seconds(1)
    return evidence
  }

  /// What has to run in the background in this phase, started anew after a restart.
  func ensureMirrors() async throws {
    let machine = context.machine
    if machine.phase.isReverseMirrored, armed(.reverse) != nil {
      try await context.mirrors.start(
        .reverse, reversePartitions, rekeyed: context.rekeyedTopics, isUrgent: true)
    } else if machine.phase.isForwardMirrored, armed(.forward) != nil, recreatedTopic == nil {
      // From the fence on producers stand still until all is carried over; groups that have moved read
      // what is carried.
      let isUrgent = [Step.carryGroups, .fence].contains {
        context.ledger.wasBegun(context.stage.name, $0, attempt: machine.attempt)
      }
      try await context.mirrors.start(
        .forward, context.partitions, rekeyed: context.rekeyedTopics, isUrgent: isUrgent)
    }
  }

  /// Why the stage must not be mirrored on, if so.
  var recreatedTopic: EngineError? {
    context.topics.lazy.compactMap { context.ledger.recreated($0.name) }.first
  }

  /// The canary's first: reading begins in this order, and a first fetch without it lasts until
  /// `fetch.wait.max.ms`.
  var reversePartitions: [TopicPartition] { [context.canary] + context.partitions }

  func armed(_ direction: Direction) -> Armed? {
    context.ledger.armed(context.stage.name, direction, attempt: context.machine.attempt)
  }

  /// Waits until `condition` holds, looking at once, every 5 ms for half a second,
  /// for clients may stand still meanwhile, and then ten times a second.
  ///
  /// Throws: `onTimeout()` after `patience`; `CancellationError`.
  func wait(
    _ patience: Duration, _ condition: () async throws -> Bool,
    onTimeout: () async throws -> any Error
  ) async throws {
    let start = ContinuousClock.now
    while try await !condition() {
      let waited = ContinuousClock.now - start
      guard waited < patience else { throw try await onTimeout() }
      try await Task.sleep(for: .milliseconds(waited < .milliseconds(500) ? 5 : 100))
    }
  }

  /// Waits until the running mirror has reconciled every partition.
  func awaitSettledMirror() async throws {
    try await wait(.seconds(300)) {
      try await context.mirrors.isSettled()
    } onTimeout: {
      KafkaError.timedOut("reconcile all partitions", cluster: context.stage.name)
    }
  }

  // MARK: Clients

  func switchClients() async throws -> Evidence {
    var watch = Stopwatch()
    if context.machine.attempt > 1 {
      try await liftFence(.target)
      watch.lap("fence on the target lifted")
    }
    try await context.call(context.stage.switchClients, .switchClients, .target)
    watch.lap("clients switched")
    // Groups that went first work there already.
    if context.stage.strategy == .together { try await resumeGroups(.target) }
    watch.lap("groups resumed")
    var evidence = Evidence()
    evidence.parts = watch.parts
    return evidence
  }

  func returnClients() async throws -> Evidence {
    try await context.call(context.stage.switchClients, .switchClients, .source)
    try await resumeGroups(.source)
    return Evidence()
  }

  func release() async throws -> Evidence {
    try await liftFence(.source)
    var evidence = Evidence()
    evidence.notes = try await restoreRetention()
    return evidence
  }

  /// The way back before any client moved, or with all groups carried back already.
  func withdraw() async throws -> Evidence {
    await context.mirrors.stop()
    if wasBegun(.translate) || wasBegun(.carryGroups) { try await resumeGroups(.source) }
    // A recall has done that first.
    if wasBegun(.fence), !wasBegun(.recallGroups) { return try await release() }
    return Evidence()
  }

  /// Whether the step was begun in this attempt: an intent counts as the act.
  func wasBegun(_ step: Step) -> Bool {
    context.ledger.wasBegun(context.stage.name, step, attempt: context.machine.attempt)
  }

  func pauseGroups(_ cluster: ClusterRole) async throws {
    try await forEachGroup { group in
      try await context.call(
        context.plan.groupRule(for: group)?.pause, .pause, cluster, group: group)
    }
  }

  func resumeGroups(_ cluster: ClusterRole) async throws {
    try await forEachGroup { group in
      try await context.call(
        context.plan.groupRule(for: group)?.resume, .resume, cluster, group: group)
    }
  }

  /// Sixteen groups at a time.
  func forEachGroup(_ body: @escaping @Sendable (String) async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      var waiting = context.groups.makeIterator()
      for _ in 0..<16 {
        if let group = waiting.next() { tasks.addTask { try await body(group) } }
      }
      while try await tasks.next() != nil {
        if let group = waiting.next() { tasks.addTask { try await body(group) } }
      }
    }
  }

  /// Sees the moved clients work on the target: a first record, and each group's promise kept.
  func observe() async throws -> Evidence {
    var evidence = Evidence()
    try await ensureMirrors()
    let before = context.ledger.evidence(of: context.stage.name, .armReverse)?.ends ?? [:]
    let deadline = ContinuousClock.now + .seconds(30)
    var sawRecord = false
    while !sawRecord, ContinuousClock.now < deadline {
      let now = try await context.ends(on: .target, stable: true)
      sawRecord = now.contains { $0.value > before[$0.key] ?? Offset(.max) }
      if !sawRecord { try await Task.sleep(for: .milliseconds(100)) }
    }
    await context.during("seen")
    evidence.notes.append(
      sawRecord
        ? "a producer wrote to the target" : "SKIPPED: no producer wrote to the target within 30 s")
    let (notes, verified) = try await verifyGroups()
    evidence.notes += notes
    evidence.verified = verified
    return evidence
  }

  /// Sees each group keep its promise on the target.
  ///
  /// Returns: notes for people, and the groups that did.
  func verifyGroups() async throws -> (notes: [String], verified: [String]) {
    var notes: [String] = []
    var verified: [String] = []
    for group in context.groups {
      guard let verify = context.plan.groupRule(for: group)?.verify else {
        notes.append("SKIPPED: group \(group) has no `verify`")
        continue
      }
      try await wait(verify.within) {
        try await groupLag(group, .target) <= verify.lagBelow
      } onTimeout: {
        EngineError.groupNotVerified(
          group: group, lag: try await groupLag(group, .target), limit: verify.lagBelow)
      }
      notes.append("group \(group) works on the target")
      verified.append(group)
    }
    return (notes, verified)
  }

  /// Why the way back must not be given up yet; `nil` where nothing speaks against it.
  func obstacleToFinalize() async throws -> String? {
    let verified = Set(context.ledger.evidence(of: context.stage.name, .observe)?.verified ?? [])
    let waiting = context.groups.filter { group in
      context.plan.groupRule(for: group)?.verify != nil && !verified.contains(group)
    }
    guard waiting.isEmpty else {
      return "not seen to work on the target since the switch: \(waiting.joined(separator: ", "))"
    }
    // After a start, what others wrote is found out when the mirror reconciles.
    let deadline = ContinuousClock.now + .seconds(30)
    while true {
      let progress = try await context.mirrors.uncheckedProgress()
      let faults =
        progress.filter { !isGivenUp($0.key, $0.value.fault) }
        .compactMap { $0.value.fault?.summary }.sorted()
        + context.tripwire.strays.map(\.summary)
      guard faults.isEmpty else {
        return "what others wrote is not dealt with: \(faults.joined(separator: "; "))"
      }
      let givenUp = Set(
        progress.filter { isGivenUp($0.key, $0.value.fault) }.map(\.key.topic))
      if !context.tripwire.isDeciding {
        let isSettled =
          try await givenUp.isEmpty
          ? context.mirrors.isSettled()
          : reversePartitions.allSatisfy { givenUp.contains($0.topic) || progress[$0] != nil }
        if isSettled { return nil }
      }
      guard ContinuousClock.now < deadline else {
        return "the reverse mirror has not looked at all partitions yet"
      }
      try await Task.sleep(for: .milliseconds(100))
    }
  }

  /// Whether people have decided that what others wrote to a rekeyed topic stays on the source: its mirror cannot go
  /// on around that, so there is no way back, but also nothing left to decide.
  private func isGivenUp(_ partition: TopicPartition, _ fault: MirrorFault?) -> Bool {
    guard case .foreignWrite(let place, let offset)? = fault,
      context.rekeyedTopics.contains(where: { $0.source == partition.topic })
    else { return false }
    return context.ledger.leftStrays(of: place).contains { $0.contains(offset) }
  }

  /// Records between the group's commits and the ends of the stage's partitions.
  func groupLag(_ group: String, _ cluster: ClusterRole) async throws -> Int64 {
    let admin = context.clusters.admin(cluster)
    let commits = try await context.steadily { try await admin.committedOffsets(of: group) }
    let ends = try await context.ends(on: cluster, stable: true)
    return ends.reduce(0) { sum, end in
      guard let commit = commits[context.name(of: end.key, on: cluster)] else { return sum }
      return sum + max(0, end.value - commit)
    }
  }

  func finalize() async throws -> Evidence {
    await context.mirrors.stop()
    var evidence = Evidence()
    evidence.notes = try await restoreRetention()
    return evidence
  }
}
