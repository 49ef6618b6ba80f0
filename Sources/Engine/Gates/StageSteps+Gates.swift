internal import Cutover
internal import Foundation
internal import Journal
internal import KafkaModel
internal import Mirror
internal import Plan
internal import Synchronization

extension StageSteps {
  func approve() async throws -> Evidence {
    try await ensureMirrors()
    try await awaitSettledMirror()
    return try await awaitGates("approval")
  }

  /// Waits until every gate is open at the same time, the stages before this one soak, and nobody holds
  /// it. Nothing lies between this and the fence: what can be prepared is, and the gates are looked at
  /// once more.
  ///
  /// - Parameter approval: what people are asked to approve.
  ///
  /// Returns: how each gate was found.
  func awaitGates(_ approval: String) async throws -> Evidence {
    let stage = context.stage.name
    var keeper = GateKeeper(self)
    var preparations: [[StepPart]] = []
    var isPrepared = false
    defer {
      context.board.setWaiting(stage, nil)
      context.board.setGates(stage, [])
    }
    while true {
      // A stage that waits here must not lose its footing unnoticed.
      _ = try await context.mirrors.progress()
      let verdicts = try await keeper.look()
      context.board.setGates(stage, verdicts)
      let closed = verdicts.filter { $0.state == .closed }
      let holds = holds
      if closed.isEmpty, holds.isEmpty, !isPrepared {
        context.board.setWaiting(stage, nil)
        let parts = try await prepareWindow()
        preparations.append(parts)
        // One that took long leaves as much to be done again: at last that has to go without.
        isPrepared = parts.reduce(0) { $0 + $1.seconds } < 5 || preparations.count == 3
        if !isPrepared { keeper = GateKeeper(self) }
        continue
      }
      if closed.isEmpty, holds.isEmpty {
        context.passedGates.store(true, ordering: .relaxed)
        var evidence = Evidence()
        evidence.notes = verdicts.map { "gate \($0.summary)" }
        evidence.notes += context.ledger.waivers(of: stage).map(\.summary)
        if verdicts.isEmpty { evidence.notes = ["no gates asked for"] }
        evidence.parts = preparations.flatMap(\.self)
        return evidence
      }
      let words =
        holds + closed.map { $0.gate == "approvals" ? "\(approval): \($0.why)" : $0.summary }
      context.board.setWaiting(stage, words.joined(separator: "; "))
      if holds.isEmpty, closed.allSatisfy({ isStaleProof($0) || isHook($0) }),
        closed.contains(where: isStaleProof)
      {
        // Everything else is open: compare what came since.
        _ = try await validate()
        keeper = GateKeeper(self)
      } else {
        try await Task.sleep(for: .milliseconds(100))
      }
    }
  }

  private func isStaleProof(_ verdict: GateVerdict) -> Bool {
    verdict.gate.prefix { $0 != "#" } == "validated"
  }

  private func isHook(_ verdict: GateVerdict) -> Bool {
    context.stage.namedGates.first { $0.name == verdict.gate }?.gate.isHook == true
  }

  /// What keeps the stage from its fence beside the gates.
  private var holds: [String] {
    var holds: [String] = []
    if let hold = context.ledger.hold(of: context.stage.name) {
      holds.append("`ferry resume`, paused by \(hold.summary)")
    }
    for name in context.plan.predecessors(of: context.stage) {
      let phase = context.ledger.machine(of: name).phase
      if !phase.isSettled {
        holds.append("stage \(name) to reach `soaking`, it is \(phase.rawValue)")
      }
    }
    return holds
  }

  /// An engine that takes up a fence which another one began looks at the gates again: the other may
  /// have died long ago. Closed ones take the stage back.
  func checkGatesAgain() async throws {
    guard !context.passedGates.load(ordering: .relaxed) else { return }
    var keeper = GateKeeper(self, again: true)
    let closed = try await keeper.look().filter { $0.state == .closed }
    guard closed.isEmpty else { throw EngineError.gatesClosed(closed.map(\.summary)) }
  }

  /// A partition that has lost what was compared of it, to be copied anew.
  func firstUnproved(mirroredBefore proof: Proof) async throws -> TopicPartition? {
    let store = try JournalMapStore(context.ledger)
    let maps = try store.maps(of: context.ordinaryPartitions)
    let validated = try context.ledger.journal.validatedUpTo()
    for topic in context.topics where !topic.isCompacted && topic.rekey == nil {
      for partition in topic.partitions {
        guard let end = proof.ends[partition], let row = store.partitions[partition],
          let first = maps[partition]?.segments.first, first.sourceStart < end
        else { continue }
        let proved = validated[row.id] ?? Offset(0)
        if proved < end { return partition }
      }
    }
    return nil
  }
}
