import KafkaModel
import TestSupport

/// What one seed does to a mirror, drawn as a whole before anything happens.
struct SeedScenario: Sendable {
  /// How a mirror that runs is ended before it is started again.
  enum Ending: String, CaseIterable, Sendable {
    /// It is asked to stop, and notes all that it stored.
    case stop
    /// Its task is cancelled.
    case cancel
    /// Its store refuses a checkpoint: its requests are still under way when it ends.
    case tear
    /// As ``tear``, and the destination answers late meanwhile.
    case tearWhileSlow
  }

  /// A fault of the network or of a broker. It disturbs every seed that runs at the same time.
  enum Trouble: Hashable, Sendable {
    case cut(ClusterRole)
    case delay(ClusterRole, milliseconds: Int)
    case breakFrame(ClusterRole, direction: String, bytes: Int, api: String)
    case blackHole(ClusterRole, direction: String, milliseconds: Int)
    case pause(ClusterRole, milliseconds: Int)
  }

  enum Step: Sendable {
    /// Records are written to the origin.
    case write(partition: Int, count: Int)
    /// Transactions are written to the origin: see ``Sandbox/writeTransactions(_:to:on:)``.
    case transactions(partition: Int, [String])
    /// One record that is not Ferry's is written to the destination.
    case foreign(partition: Int)
    /// The origin drops a part of what the map knows.
    case dropMirrored(partition: Int)
    /// The destination drops all but its last few records, noted or not.
    case dropCopies(partition: Int, left: Int)
    case wait(milliseconds: Int)
    /// Checkpoints are lost from here to the mirror's end.
    case forget
    case start
    /// Waits until the mirror has reconciled: what follows meets it at work.
    case settle
    case end(Ending)
    case trouble(Trouble)
  }

  /// Mirroring in one direction until all is copied.
  struct Phase: Sendable {
    var direction: Direction
    var steps: [Step] = []
  }

  let seed: UInt64
  var partitions = 1
  /// Records at each source partition's head that are deleted before the mirror is armed.
  var deletedHeads: [Int] = []
  /// Records that each target partition holds before the mirror is armed.
  var standing: [Int] = []
  var valueBytes = 1...200
  var lanes = 1
  var bytesPerSecond: Int64?
  var recordsInFlight = 50_000
  var checkpointMilliseconds = 200
  var phases: [Phase] = []
}

extension SeedScenario {
  /// - Parameter disturbs: whether the brokers may be disturbed.
  init(seed: UInt64, disturbs: Bool) {
    self.seed = seed
    var dice = Dice(seed: seed)
    partitions = dice.number(1...3)
    let isHeadDeleted = dice.happens(1, of: 4)
    let stands = dice.happens(1, of: 4)
    for _ in 0..<partitions {
      deletedHeads.append(isHeadDeleted ? dice.number(0...15) : 0)
      standing.append(stands ? dice.number(0...8) : 0)
    }
    if dice.happens(1, of: 15) { valueBytes = 500...3000 }
    lanes = dice.number(1...2)
    if dice.happens(1, of: 2) { bytesPerSecond = Int64(dice.number(20...150)) * 1000 }
    if dice.happens(1, of: 3) { recordsInFlight = dice.number(1...40) }
    checkpointMilliseconds = dice.number(10...250)

    let directions: [Direction] =
      switch dice.number(0..<20) {
      case 0..<12: [.forward]
      case 12..<17: [.forward, .reverse]
      default: [.forward, .reverse, .forward]
      }
    let total = min(dice.number(20...300), dice.number(20...300)) / directions.count
    var kills = Array(repeating: 0, count: directions.count)
    for _ in 0..<dice.number(0...4) { kills[dice.number(directions.indices)] += 1 }
    let isForeign = dice.happens(1, of: 4)
    for (index, direction) in directions.enumerated() {
      let isLast = index == directions.count - 1
      phases.append(
        Phase(
          direction: direction,
          steps: dice.steps(
            partitions: partitions, records: total, kills: kills[index],
            foreign: isForeign && isLast, drops: index == 0)))
    }
    if dice.happens(1, of: 16) {
      let steps = dice.transactions()
      dice.insert(.transactions(partition: dice.number(0..<partitions), steps), into: &phases)
    }
    guard disturbs, dice.happens(1, of: 3) else { return }
    for _ in 0..<dice.number(1...3) { dice.insert(.trouble(dice.trouble()), into: &phases) }
  }
}

/// Draws a scenario's parts.
private struct Dice {
  private var generator: RecordGenerator

  init(seed: UInt64) { generator = RecordGenerator(seed: seed &* 0x1000_0001) }

  mutating func number(_ range: ClosedRange<Int>) -> Int { .random(in: range, using: &generator) }
  mutating func number(_ range: Range<Int>) -> Int { .random(in: range, using: &generator) }
  mutating func happens(_ times: Int, of all: Int) -> Bool { number(0..<all) < times }

  mutating func one<Element>(of elements: [Element]) -> Element {
    elements[number(elements.indices)]
  }

  mutating func insert(_ step: SeedScenario.Step, into phases: inout [SeedScenario.Phase]) {
    let phase = number(phases.indices)
    phases[phase].steps.insert(step, at: number(0...phases[phase].steps.count))
  }

  /// One phase: for each start of the mirror what is written before it, and what while it runs.
  mutating func steps(
    partitions: Int, records: Int, kills: Int, foreign: Bool, drops: Bool
  ) -> [SeedScenario.Step] {
    var before: [[SeedScenario.Step]] = Array(repeating: [], count: kills + 1)
    var during = before
    let bursts = number(2...8)
    for _ in 0..<bursts {
      let start = number(0...kills)
      let write = SeedScenario.Step.write(
        partition: number(0..<partitions), count: max(1, records / bursts + number(-3...3)))
      if happens(2, of: 3) {
        during[start].append(write)
        if happens(1, of: 2) { during[start].append(.wait(milliseconds: number(1...80))) }
      } else {
        before[start].append(write)
      }
    }
    func place(_ step: SeedScenario.Step, in steps: inout [SeedScenario.Step]) {
      steps.insert(step, at: number(0...steps.count))
    }
    for start in 0..<kills {
      let ending = one(of: SeedScenario.Ending.allCases)
      during[start].append(.wait(milliseconds: number(0...150)))
      if happens(3, of: 4) { place(.forget, in: &during[start]) }
      if ending == .tear || ending == .tearWhileSlow {
        // Something that may be under way when it ends.
        during[start].append(.write(partition: number(0..<partitions), count: number(1...20)))
        during[start].append(.wait(milliseconds: number(0...50)))
      }
      during[start].append(.end(ending))
    }
    if drops, happens(1, of: 6) {
      place(.dropMirrored(partition: number(0..<partitions)), in: &during[number(0...kills)])
    }
    if drops, !foreign, kills > 0, happens(1, of: 4) {
      let step = SeedScenario.Step.dropCopies(
        partition: number(0..<partitions), left: number(1...5))
      place(step, in: &before[number(1...kills)])
    }
    if foreign {
      let step = SeedScenario.Step.foreign(partition: number(0..<partitions))
      if happens(1, of: 2) {
        place(step, in: &before[number(0...kills)])
      } else {
        // Before the end, or it would not come while the mirror runs.
        let start = number(0...kills)
        let last = max(0, during[start].count - (start < kills ? 1 : 0))
        during[start].insert(step, at: number(0...last))
      }
    }
    return zip(before, during).flatMap { before, during in
      before + [.start] + (happens(2, of: 3) ? [.settle] : []) + during
    }
  }

  mutating func transactions() -> [String] {
    (0..<number(2...5)).map { _ in "\(one(of: ["commit", "abort"])):\(number(1...5))" }
  }

  mutating func trouble() -> SeedScenario.Trouble {
    let role = one(of: ClusterRole.allCases)
    let direction = one(of: ["up", "down"])
    switch number(0..<20) {
    case 0..<7: return .cut(role)
    case 7..<11: return .delay(role, milliseconds: number(5...40))
    case 11..<18:
      return .breakFrame(
        role, direction: direction, bytes: one(of: [0, 6, 30, 80]),
        api: role == .source ? "fetch" : one(of: ["produce", "fetch"]))
    case 18: return .blackHole(role, direction: direction, milliseconds: number(100...400))
    default: return .pause(role, milliseconds: number(50...300))
    }
  }
}

extension SeedScenario: CustomStringConvertible {
  /// One line a phase.
  var description: String {
    let speed = bytesPerSecond.map { "\($0) B/s" } ?? "unthrottled"
    return phases.reduce(
      "\(partitions) partitions, heads deleted \(deletedHeads), standing \(standing), values"
        + " \(valueBytes) B, \(lanes) lanes, \(speed), \(recordsInFlight) records in flight,"
        + " checkpoints each \(checkpointMilliseconds) ms"
    ) { text, phase in
      text + "\n\(phase.direction.rawValue): "
        + phase.steps.map(\.description).joined(separator: ", ")
    }
  }
}

extension SeedScenario.Step: CustomStringConvertible {
  var description: String {
    switch self {
    case .write(let partition, let count): "write(\(partition), \(count))"
    case .transactions(let partition, let steps): "transactions(\(partition), \(steps))"
    case .foreign(let partition): "foreign(\(partition))"
    case .dropMirrored(let partition): "dropMirrored(\(partition))"
    case .dropCopies(let partition, let left): "dropCopies(\(partition), \(left))"
    case .wait(let milliseconds): "wait(\(milliseconds))"
    case .forget: "forget"
    case .start: "start"
    case .settle: "settle"
    case .end(let ending): "\(ending)"
    case .trouble(.cut(let role)): "cut(\(role))"
    case .trouble(.delay(let role, let milliseconds)): "delay(\(role), \(milliseconds))"
    case .trouble(.breakFrame(let role, let direction, let bytes, let api)):
      "break(\(role), \(direction), \(bytes), \(api))"
    case .trouble(.blackHole(let role, let direction, let milliseconds)):
      "blackHole(\(role), \(direction), \(milliseconds))"
    case .trouble(.pause(let role, let milliseconds)): "pause(\(role), \(milliseconds))"
    }
  }
}
