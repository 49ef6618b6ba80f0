package import Cutover
internal import Foundation
internal import Journal
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

  /// Ranges of a source partition about which was decided: strays stay in them.
  func leftStrays(of partition: TopicPartition) -> [Range<Offset>] {
    folded.withLock { $0.leftStrays(of: partition) }
  }

  /// Strays of the stage of whose copies on the target nobody knows yet whether they arrived; `nil` where there are
  /// none.
  func forwarding(of stage: String) -> StrayForwarding? {
    folded.withLock { $0.forwardings[stage] }
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
    try write(.stage, stage: stage, [entry], begin: begin, end: end, answer: answer)
    Failpoint.hit("wished:\(event.name)", stage: stage)
    return effects
  }

  func record<Payload: Encodable>(
    _ kind: EntryKind, stage: String?, _ payload: Payload,
    answer: (command: Int64, outcome: CommandOutcome)? = nil
  ) throws {
    try write(kind, stage: stage, [payload], begin: [], end: [], answer: answer)
  }

  /// Several of a kind, in one transaction.
  func record<Payload: Encodable>(
    _ kind: EntryKind, stage: String?, all payloads: [Payload],
    answer: (command: Int64, outcome: CommandOutcome)? = nil
  ) throws {
    try write(kind, stage: stage, payloads, begin: [], end: [], answer: answer)
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
    _ kind: EntryKind, stage: String?, _ payloads: [Payload], begin: [NewEffect], end: [String],
    answer: (command: Int64, outcome: CommandOutcome)?
  ) throws {
    let new = try payloads.map {
      NewEvent(stage: stage, kind: kind.rawValue, payload: try JSON.text($0))
    }
    let events = try journal.append(new, begin: begin, end: end, answer: answer, lease: lease)
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
  /// It is about to be copied to the target: see ``StrayForwarding``.
  case forwarding
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
