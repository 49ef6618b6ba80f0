internal import Cutover
internal import Foundation
internal import Journal
internal import KafkaModel
internal import Plan

/// Looks at a stage's gates, right before the fence. Whatever goes wrong with a look is a closed gate
/// that says why.
struct GateKeeper {
  private let steps: StageSteps
  private let gates: [(name: String, gate: Gate)]
  /// Since when each lag gate has held.
  private var heldSince: [String: ContinuousClock.Instant] = [:]
  /// What was asked lately: hooks, and reading the journal for every partition, cost something.
  private var answers: [String: (verdict: GateVerdict, at: ContinuousClock.Instant)] = [:]

  /// - Parameter again: whether an engine passed them all and died behind them. How far behind the mirror
  ///   is no longer counts then: producers may stand still.
  init(_ steps: StageSteps, again: Bool = false) {
    self.steps = steps
    gates = steps.context.stage.namedGates.filter { !again || !$0.gate.isAboutLag }
  }

  private var context: StageContext { steps.context }

  /// Looks at the gates. Hooks are asked last, once everything else is open.
  mutating func look() async throws -> [GateVerdict] {
    var verdicts: [GateVerdict] = []
    for (name, gate) in gates where !gate.isHook {
      verdicts.append(await verdict(name, gate))
    }
    let isReady = verdicts.allSatisfy { $0.state != .closed }
    for (name, gate) in gates {
      guard case .hook(let hook) = gate else { continue }
      verdicts.append(try await verdict(name, hook, isReady: isReady))
    }
    let order = gates.map(\.name)
    return verdicts.sorted { order.firstIndex(of: $0.gate)! < order.firstIndex(of: $1.gate)! }
  }

  private func waiver(_ name: String) -> GateVerdict? {
    context.ledger.waivers(of: context.stage.name).first { $0.gate == name }.map {
      GateVerdict(gate: name, state: .forced, why: "by \($0.order.summary)")
    }
  }

  private mutating func verdict(_ name: String, _ gate: Gate) async -> GateVerdict {
    if let forced = waiver(name) { return forced }
    do {
      let (isOpen, why) = try await look(name, gate)
      return GateVerdict(gate: name, state: isOpen ? .open : .closed, why: why)
    } catch {
      heldSince[name] = nil
      let reason = (error as? any OperatorError)?.summary ?? "\(error)"
      return GateVerdict(gate: name, state: .closed, why: "it could not be looked at: \(reason)")
    }
  }

  private mutating func look(_ name: String, _ gate: Gate) async throws -> (Bool, String) {
    switch gate {
    case .lagBelow(let limit, let sustained):
      let lag = try await steps.lag(patience: .seconds(5))
      guard lag <= limit else {
        heldSince[name] = nil
        return (false, "the mirror is \(lag) records behind, \(limit) are allowed")
      }
      let since = heldSince[name] ?? .now
      heldSince[name] = since
      return (ContinuousClock.now - since >= sustained, "the mirror is \(lag) records behind")
    case .drainWithin(let budget):
      let lag = try await steps.lag(patience: .seconds(5))
      guard lag > 0 else { return (true, "nothing is left to drain") }
      guard let rate = context.board.live(context.stage.name).busyRate.recordsPerSecond else {
        return (false, "the mirror's speed is not measured yet")
      }
      let seconds = Double(lag) / rate
      return (
        seconds <= budget / .seconds(1),
        "draining \(lag) records takes about \(Self.short(seconds)) s at the measured \(Int(rate)) records/s"
      )
    case .approvals(let needed):
      let given = context.ledger.approvals(of: context.stage.name)
      return (given.count >= needed, "\(given.count) of \(needed) given, `ferry approve`")
    case .validated(let age):
      if let known = answers[name], known.at + .seconds(2) > .now {
        return (known.verdict.state == .open, known.verdict.why)
      }
      let (isOpen, why) = try await lookAtProof(age)
      let verdict = GateVerdict(gate: name, state: isOpen ? .open : .closed, why: why)
      answers[name] = (verdict, .now)
      return (isOpen, why)
    case .window(let window):
      guard let look = window.look(at: Date()) else {
        return (false, "this host does not know the time zone \(window.zone)")
      }
      return (look.isOpen, "it is \(look.clock) in \(window.zone), planned is \(window.summary)")
    case .hook: return (false, "not asked yet")
    }
  }

  private func lookAtProof(_ limit: Duration) async throws -> (Bool, String) {
    guard let proof = context.ledger.proof(of: context.stage.name),
      proof.attempt == context.machine.attempt
    else { return (false, "nothing was compared yet") }
    let age = Date().timeIntervalSince1970 - proof.time
    guard age >= 0 else { return (false, "the clock went back: the proof lies in the future") }
    guard age <= limit / .seconds(1) else {
      return (false, "the comparison began \(Int(age)) s ago, allowed are \(limit)")
    }
    if let partition = try await steps.firstUnproved(mirroredBefore: proof) {
      return (false, "\(partition) was mirrored anew since it was compared")
    }
    return (true, "all that was mirrored \(Int(age)) s ago is equal on both sides")
  }

  private mutating func verdict(
    _ name: String, _ hook: Hook, isReady: Bool
  ) async throws -> GateVerdict {
    if let forced = waiver(name) { return forced }
    // An answer holds for as long as the other gates may take to settle.
    if let known = answers[name], known.at + .seconds(10) > .now { return known.verdict }
    guard isReady else {
      return GateVerdict(gate: name, state: .closed, why: "asked once the other gates are open")
    }
    var verdict: GateVerdict
    do {
      let printed = try await context.ask(hook, gate: name)
      verdict = GateVerdict(
        gate: name, state: .open, why: printed.isEmpty ? "the hook agreed" : "it said: \(printed)")
    } catch let error as any OperatorError {
      if error is JournalError { throw error }
      verdict = GateVerdict(gate: name, state: .closed, why: error.summary)
    }
    answers[name] = (verdict, .now)
    return verdict
  }

  private static func short(_ seconds: Double) -> String {
    seconds < 10 ? "\((seconds * 10).rounded(.up) / 10)" : "\(Int(seconds.rounded(.up)))"
  }
}
