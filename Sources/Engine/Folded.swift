package import Cutover
internal import Foundation
package import Journal
package import Kafka
package import KafkaModel

/// All events, folded.
package struct Folded: Sendable {
  private let strategies: [String: Strategy]
  private var machines: [String: CutoverMachine] = [:]
  package var approvals: [String: Set<String>] = [:]
  package var acknowledged: Set<String> = []
  package var armed: [String: Armed] = [:]
  package var bases: [Direction: [TopicPartition: Offset]] = [:]
  package var positions: [Direction: [TopicPartition: Offset]] = [:]
  package var evidence: [String: Evidence] = [:]
  package var begun: Set<String> = []
  package var rates: [Throttling.Budget: Int64] = [:]
  package var gaps: [AcceptedGap] = []
  /// Partition counts of topics that grew.
  package var growth: [String: Int32] = [:]
  package var recreated: [String: RecreatedTopic] = [:]
  package var fenceRules: [String: Set<TopicACL>] = [:]
  var hookSeconds: [String: Double] = [:]
  var switchedAt: [String: Date] = [:]
  /// When the last fence was up, and for how long clients stood still from then on until the switch
  /// hook was called, in seconds.
  private var fenceUp: [String: Date] = [:]
  package private(set) var windowSeconds: [String: Double] = [:]
  var forecasts: [String: RollbackForecast] = [:]
  /// When each stage began to go back, and when it was back.
  private var wentBack: [String: (from: Date, to: Date?)] = [:]
  package var savedRetention: [String: [String: [String: String?]]] = [:]
  /// What was decided about strays, by stage.
  package private(set) var strays: [String: [StrayDecision]] = [:]
  /// Strays that are being copied to the target, or were when an engine ended, by stage.
  package private(set) var forwardings: [String: StrayForwarding] = [:]
  private var waivers: [String: [Waiver]] = [:]
  package var holds: [String: Order] = [:]
  package var vetoes: [String: Set<Int>] = [:]
  package var proofs: [String: Proof] = [:]

  /// - Parameter strategies: by stage, as the plan has them; `together` where there is none.
  package init(_ journal: MigrationJournal, strategies: [String: Strategy]) throws {
    self.strategies = strategies
    for event in try journal.events() { try apply(event) }
  }

  /// How long the current attempt's way back took; `nil` before its end, or where none was needed.
  func rollbackOutcome(_ stage: String) -> RollbackOutcome? {
    guard let (from, end) = wentBack[stage], let to = end else { return nil }
    let attempt = machine(of: stage).attempt
    let forecast = forecasts["\(stage)/\(attempt)"]
    // Evidence of an earlier attempt says nothing of this one.
    let step = [Step.translateBack, .recallGroups].first {
      begun.contains("\(stage)/\(attempt)/\($0.rawValue)")
    }
    return RollbackOutcome(
      predictedSeconds: forecast?.seconds, actualSeconds: to.timeIntervalSince(from),
      predictedGroups: forecast?.groups ?? [],
      groups: step.flatMap { evidence["\(stage)/\($0.rawValue)"]?.groups } ?? [])
  }

  /// Ranges of a source partition about which was decided: strays stay in them.
  package func leftStrays(of partition: TopicPartition) -> [Range<Offset>] {
    strays.values.joined().flatMap(\.strays).filter { $0.partition == partition }.map(\.range)
  }

  /// As ``leftStrays(of:)``, of one attempt and without those that were copied to the target.
  func uncopiedStrays(of partition: TopicPartition, attempt: Int) -> [Range<Offset>] {
    strays.values.joined().filter { $0.attempt == attempt && $0.forwarded == nil }
      .flatMap(\.strays).filter { $0.partition == partition }.map(\.range)
  }

  /// The strays of a source partition that were copied to the target, in any attempt.
  func forwardedStrays(of partition: TopicPartition) -> [Range<Offset>] {
    strays.values.joined().flatMap { $0.forwarded ?? [] }.filter { $0.partition == partition }
      .flatMap(\.copies).map { $0.sourceStart..<$0.sourceEnd }
  }

  package func machine(of stage: String) -> CutoverMachine {
    machines[stage] ?? CutoverMachine(strategies[stage] ?? .together)
  }

  /// Gates that people opened by force, in the stage's present attempt.
  package func waivers(of stage: String) -> [Waiver] {
    let attempt = machine(of: stage).attempt
    return waivers[stage, default: []].filter { $0.attempt == attempt }
  }

  private mutating func noteWindow(
    _ stage: String, _ step: Step, _ evidence: Evidence?, at time: Date
  ) {
    guard let seconds = evidence?.seconds else { return }
    let first = evidence?.parts?.first?.seconds ?? 0
    switch step {
    case .fence:
      fenceUp[stage] = time.addingTimeInterval(first - seconds)
      windowSeconds[stage] = nil
    case .switchClients:
      guard let up = fenceUp[stage] else { return }
      let lifted = (evidence?.parts?.count ?? 0) > 2 ? first : 0
      windowSeconds[stage] = time.addingTimeInterval(lifted - seconds).timeIntervalSince(up)
    default: break
    }
  }

  mutating func apply(_ event: RecordedEvent) throws {
    let stage = event.stage ?? ""
    switch EntryKind(rawValue: event.kind) {
    case .stage:
      let entry = try JSON.value(StageEntry.self, event.payload)
      var machine = machine(of: stage)
      if case .done(let step) = entry.event {
        if step == .switchClients { switchedAt[stage] = event.time }
        noteWindow(stage, step, entry.evidence, at: event.time)
        evidence["\(stage)/\(step.rawValue)"] = entry.evidence
      }
      // Yes to the groups is not yet yes to the producers.
      if entry.event == .reopen || entry.event == .done(.moveGroups) { approvals[stage] = [] }
      if entry.event == .reopen {
        vetoes[stage] = nil
        windowSeconds[stage] = nil
      }
      let before = machine.phase
      _ = try machine.apply(entry.event)
      machines[stage] = machine
      if machine.phase != before {
        if [.withdrawing, .recalling, .retreating].contains(machine.phase) {
          wentBack[stage] = (event.time, nil)
        } else if machine.phase == .rolledBack {
          wentBack[stage]?.to = event.time
        } else if entry.event == .reopen {
          wentBack[stage] = nil
        }
      }
      if let step = machine.step { begun.insert("\(stage)/\(machine.attempt)/\(step.rawValue)") }
    case .approval:
      let approval = try JSON.value(Approval.self, event.payload)
      approvals[stage, default: []].insert(Approval.person(approval.by))
    case .waiver:
      waivers[stage, default: []].append(try JSON.value(Waiver.self, event.payload))
    case .hold:
      let hold = try JSON.value(Hold.self, event.payload)
      holds[stage] = hold.isHeld ? hold.order : nil
    case .veto:
      let veto = try JSON.value(Veto.self, event.payload)
      if veto.order == nil {
        vetoes[stage]?.remove(veto.trigger)
      } else {
        vetoes[stage, default: []].insert(veto.trigger)
      }
    case .proof:
      proofs[stage] = try JSON.value(Proof.self, event.payload)
    case .acknowledgement:
      acknowledged.insert(try JSON.value(Acknowledgement.self, event.payload).hook)
    case .armed:
      let entry = try JSON.value(Armed.self, event.payload)
      armed["\(stage)/\(entry.attempt)/\(entry.direction.rawValue)"] = entry
      bases[entry.direction, default: [:]].merge(entry.bases) { _, new in new }
      positions[entry.direction, default: [:]].merge(entry.positions) { _, new in new }
    case .throttle:
      rates.merge(try JSON.value(Throttling.self, event.payload).rates) { _, new in new }
    case .gap:
      let gap = try JSON.value(AcceptedGap.self, event.payload)
      // One that is found again after a crash is the same one.
      gaps.removeAll { $0.partition == gap.partition && $0.from == gap.from }
      gaps.append(gap)
    case .growth:
      let entry = try JSON.value(TopicGrowth.self, event.payload)
      growth[entry.topic] = entry.partitions
    case .recreated:
      let entry = try JSON.value(RecreatedTopic.self, event.payload)
      recreated[entry.partition.topic] = entry
    case .fenceRules:
      let entry = try JSON.value(FenceRules.self, event.payload)
      fenceRules["\(stage)/\(entry.cluster.rawValue)"] = entry.rules
    case .retention:
      savedRetention[stage] = try JSON.value(SavedRetention.self, event.payload).topics
    case .stray:
      let decision = try JSON.value(StrayDecision.self, event.payload)
      forwardings[stage] = nil
      if let last = strays[stage]?.indices.last, strays[stage]![last].takeIn(decision) { break }
      strays[stage, default: []].append(decision)
    case .forwarding:
      forwardings[stage] = try JSON.value(StrayForwarding.self, event.payload)
    case .hook:
      let entry = try JSON.value(HookRecord.self, event.payload)
      if let action = entry.id.split(separator: "/").dropFirst(2).first {
        hookSeconds["\(stage)/\(action)"] = entry.seconds
      }
    case .forecast:
      forecasts["\(stage)/\(machine(of: stage).attempt)"] =
        try JSON.value(RollbackForecast.self, event.payload)
    case .engine, nil:
      break
    }
  }
}
