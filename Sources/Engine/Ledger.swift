package import Cutover
internal import Foundation
package import Journal
package import Kafka
package import KafkaModel
internal import Synchronization

/// What the engine writes to the journal and how it reads it back: events as JSON, folded into stage
/// machines, approvals and the ends at which mirrors were armed.
final class Ledger: Sendable {
  let journal: MigrationJournal
  let lease: Lease
  private let folded: Mutex<Folded>

  /// - Parameter strategies: by stage; `together` where there is none.
  init(_ journal: MigrationJournal, lease: Lease, strategies: [String: Strategy] = [:]) throws {
    self.journal = journal
    self.lease = lease
    folded = Mutex(try Folded(journal, strategies: strategies))
  }

  func machine(of stage: String) -> CutoverMachine { folded.withLock { $0.machine(of: stage) } }

  /// All that the journal says, at this moment.
  var snapshot: Folded { folded.withLock { $0 } }

  /// Names of the people who approved the stage's current attempt.
  func approvals(of stage: String) -> Set<String> {
    folded.withLock { $0.approvals[stage] ?? [] }
  }

  /// Gates that people opened by force, in this attempt.
  func waivers(of stage: String) -> [Waiver] { folded.withLock { $0.waivers(of: stage) } }

  /// Who holds the stage before its fence; `nil` where nobody does.
  func hold(of stage: String) -> Order? { folded.withLock { $0.holds[stage] } }

  /// The numbers of the stage's triggers that people have stopped.
  func vetoes(of stage: String) -> Set<Int> { folded.withLock { $0.vetoes[stage] ?? [] } }

  /// The last comparison of all that was mirrored.
  func proof(of stage: String) -> Proof? { folded.withLock { $0.proofs[stage] } }

  func isAcknowledged(_ hookID: String) -> Bool {
    folded.withLock { $0.acknowledged.contains(hookID) }
  }

  /// Where the destinations' logs ended when `direction` was armed in this attempt of the stage.
  func armed(_ stage: String, _ direction: Direction, attempt: Int) -> Armed? {
    folded.withLock { $0.armed["\(stage)/\(attempt)/\(direction.rawValue)"] }
  }

  func armedPositions(_ direction: Direction) -> [TopicPartition: Offset] {
    folded.withLock { $0.positions[direction] ?? [:] }
  }

  func lastBases(_ direction: Direction) -> [TopicPartition: Offset] {
    folded.withLock { $0.bases[direction] ?? [:] }
  }

  func evidence(of stage: String, _ step: Step) -> Evidence? {
    folded.withLock { $0.evidence["\(stage)/\(step.rawValue)"] }
  }

  /// The rules that a fence of Ferry's own has added to the cluster, or may have.
  func fenceRules(_ stage: String, _ cluster: ClusterRole) -> Set<TopicACL> {
    folded.withLock { $0.fenceRules["\(stage)/\(cluster.rawValue)"] ?? [] }
  }

  /// The overrides that source topics had before the stage extended their retention, by topic and name;
  /// `nil` stands for none. Empty where nothing is extended.
  func savedRetention(_ stage: String) -> [String: [String: String?]] {
    folded.withLock { $0.savedRetention[stage] ?? [:] }
  }

  /// How long the stage's last hook of that action took.
  func hookSeconds(_ stage: String, _ action: String) -> Double? {
    folded.withLock { $0.hookSeconds["\(stage)/\(action)"] }
  }

  /// When the stage's clients were last moved to the target.
  func switchedAt(_ stage: String) -> Date? { folded.withLock { $0.switchedAt[stage] } }

  /// What was forecast when this attempt of the stage began to go back.
  func forecast(_ stage: String, attempt: Int) -> RollbackForecast? {
    folded.withLock { $0.forecasts["\(stage)/\(attempt)"] }
  }

  func rollbackOutcome(_ stage: String) -> RollbackOutcome? {
    folded.withLock { $0.rollbackOutcome(stage) }
  }

  func wasBegun(_ stage: String, _ step: Step, attempt: Int) -> Bool {
    folded.withLock { $0.begun.contains("\(stage)/\(attempt)/\(step.rawValue)") }
  }

  /// Rates that were set while engines ran, in bytes a second, by ``Throttling/Budget``; 0 is no limit.
  var rates: [Throttling.Budget: Int64] { folded.withLock { $0.rates } }

  var growth: [String: Int32] { folded.withLock { $0.growth } }

  /// Why a topic must not be mirrored on; `nil` where nothing stands against it.
  func recreated(_ topic: String) -> EngineError? {
    folded.withLock { $0.recreated[topic]?.drift }
  }

  /// Ranges of a source partition in which strays stay, in one attempt or (`nil`) in any.
  func leftStrays(of partition: TopicPartition, attempt: Int? = nil) -> [Range<Offset>] {
    folded.withLock { $0.leftStrays(of: partition, attempt: attempt) }
  }

  /// What was decided about strays in the stage's present attempt.
  func strayDecisions(of stage: String) -> [StrayDecision] {
    folded.withLock { folded in
      let attempt = folded.machine(of: stage).attempt
      return (folded.strays[stage] ?? []).filter { $0.attempt == attempt }
    }
  }

  var gaps: [AcceptedGap] { folded.withLock { $0.gaps } }

  /// Applies `event` to the stage's machine and writes both in one transaction, with what the step
  /// found, the beginning of the next step and the answer to the command that caused it.
  @discardableResult
  func record(
    _ event: StageEvent, stage: String, evidence: Evidence? = nil, order: Order? = nil,
    answer: (command: Int64, outcome: CommandOutcome)? = nil
  ) throws -> [StageEffect] {
    var machine = machine(of: stage)
    let previous = machine.step.map { "\(stage)/\(machine.attempt)/\($0.rawValue)" }
    let effects = try machine.apply(event)
    let next = machine.step.map { "\(stage)/\(machine.attempt)/\($0.rawValue)" }
    // A step that goes on after a crash, or again after a failure, keeps its pending effect.
    let pending = Set(try journal.pendingEffects().map(\.id))
    var end: [String] = []
    if let previous, previous != next, pending.contains(previous) { end.append(previous) }
    var begin: [NewEffect] = []
    if let next, let step = machine.step, !pending.contains(next) {
      begin.append(NewEffect(id: next, stage: stage, kind: step.rawValue))
    }
    let entry = StageEntry(
      event: event, evidence: evidence, order: order, phase: machine.phase)
    Failpoint.hit("wish:\(event.name)", stage: stage)
    try write(.stage, stage: stage, entry, begin: begin, end: end, answer: answer)
    Failpoint.hit("wished:\(event.name)", stage: stage)
    return effects
  }

  func record<Payload: Encodable>(
    _ kind: EntryKind, stage: String?, _ payload: Payload,
    answer: (command: Int64, outcome: CommandOutcome)? = nil
  ) throws {
    try write(kind, stage: stage, payload, begin: [], end: [], answer: answer)
  }

  /// Answers a command with a refusal, for the reason given.
  func refuse(_ command: OperatorCommand, _ reason: String) throws {
    try journal.append(
      [
        NewEvent(
          stage: command.stage, kind: EntryKind.engine.rawValue,
          payload: try JSON.text([
            "refused": command.kind, "reason": reason, "by": Order(command).summary,
          ]))
      ],
      answer: (command: command.id, outcome: CommandOutcome(accepted: false, message: reason)),
      lease: lease)
  }

  private func write<Payload: Encodable>(
    _ kind: EntryKind, stage: String?, _ payload: Payload, begin: [NewEffect], end: [String],
    answer: (command: Int64, outcome: CommandOutcome)?
  ) throws {
    let json = try JSON.text(payload)
    let events = try journal.append(
      [NewEvent(stage: stage, kind: kind.rawValue, payload: json)], begin: begin, end: end,
      answer: answer, lease: lease)
    try folded.withLock { folded in for event in events { try folded.apply(event) } }
  }
}

/// Kinds of journal events.
package enum EntryKind: String, Sendable {
  /// An event of a stage's machine.
  case stage
  case approval
  case acknowledgement
  /// A gate was opened by force: see ``Waiver``.
  case waiver
  /// A stage is held before its fence, or let go on: see ``Hold``.
  case hold
  /// An automatic rollback was stopped: see ``Veto``.
  case veto
  /// All that was mirrored was compared: see ``Proof``.
  case proof
  /// A mirror was armed: see ``Armed``.
  case armed
  /// Rules of an ACL fence are about to be added, or are all gone: see ``FenceRules``.
  case fenceRules
  /// Source topics' retention is about to be extended, or is as it was: see ``SavedRetention``.
  case retention
  /// A stage goes back: see ``RollbackForecast``.
  case forecast
  /// What others wrote to the source after the switch stays there: see ``StrayDecision``.
  case stray
  /// A hook ran.
  case hook
  /// A rate was set: see ``Throttling``.
  case throttle
  /// Records that the source dropped were given up: see ``AcceptedGap``.
  case gap
  /// A source topic got more partitions: see ``TopicGrowth``.
  case growth
  /// A source topic was deleted and created again: see ``RecreatedTopic``.
  case recreated
  /// The engine started or stopped.
  case engine
}

/// A stage event as journalled.
package struct StageEntry: Codable, Sendable {
  package let event: StageEvent
  package let evidence: Evidence?
  /// The person behind it, where it is a person's wish.
  package let order: Order?
  /// Where the event led: redundant, for readers of the log.
  package let phase: Phase
}

/// What a step observed.
package struct Evidence: Codable, Sendable, Hashable {
  /// For people.
  package var notes: [String] = []
  /// Ends of logs that later steps rest on, by partition on the cluster concerned.
  package var ends: [TopicPartition: Offset] = [:]
  /// Groups that kept their promise on the target; `nil` where the step does not look at that.
  package var verified: [String]?
  /// What carrying commits back meant to each group; `nil` where the step does not do that.
  package var groups: [RollbackForecast.Group]?
  /// Seconds the step took.
  package var seconds: Double?
  /// What they were spent on, in order; what is left over was spent on nothing that has a name.
  package var parts: [StepPart]?

  package init() {}
}

/// The moment at which a direction was armed.
package struct Armed: Codable, Sendable {
  package let direction: Direction
  package let attempt: Int
  /// Where each destination partition's log ended, by the partition's name on the source.
  package let bases: [TopicPartition: Offset]
  /// Where reading starts, by the same key.
  package let positions: [TopicPartition: Offset]
}

/// Overrides of source topics as they were before their retention was extended.
package struct SavedRetention: Codable, Sendable {
  package let topics: [String: [String: String?]]
}

/// What an ACL fence has on a cluster, from this moment on.
package struct FenceRules: Codable, Sendable {
  package let cluster: ClusterRole
  package let rules: Set<TopicACL>
}

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

  /// Ranges of a source partition in which strays stay, in one attempt or (`nil`) in any.
  package func leftStrays(of partition: TopicPartition, attempt: Int?) -> [Range<Offset>] {
    strays.values.joined().filter { attempt == nil || $0.attempt == attempt }.flatMap(\.strays)
      .filter { $0.partition == partition }.map(\.range)
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
      strays[stage, default: []].append(try JSON.value(StrayDecision.self, event.payload))
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

/// JSON with sorted keys: the same value is always the same text.
package enum JSON {
  package static func text<Value: Encodable>(_ value: Value) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }

  package static func value<Value: Decodable>(_ type: Value.Type, _ text: String) throws -> Value {
    try JSONDecoder().decode(type, from: Data(text.utf8))
  }
}
