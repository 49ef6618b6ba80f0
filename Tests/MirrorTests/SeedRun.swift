import Kafka
import KafkaModel
import Mirror
import TestSupport

/// One seed's scenario, performed.
struct SeedRun {
  let scenario: SeedScenario
  private let clients: SeedClients
  private let connections: [ClusterRole: ClusterConnection]
  private let log = LogLines()
  private let sources: [TopicPartition]
  private let targets: [TopicPartition]
  private let store: InMemoryMapStore
  private let budgets: MirrorBudgets
  private var generator: RecordGenerator
  /// Of the test's own, so that they are not like any record of the generator.
  private var strangers = 0
  private var logs: [SeedLog]
  private var direction = Direction.forward
  private var mirror: SeedMirror?
  private var starts = 0
  /// Where the latest mirror's log begins.
  private var firstLine = 0
  /// The latest mirror's requests may still be under way.
  private var wasTorn = false
  private var isForgetful = false

  struct Wrong: Error, CustomStringConvertible {
    let description: String
  }

  /// What came of a scenario.
  struct Report: Sendable {
    var records = 0
    /// Records that a start of the mirror found on the destination without knowing them.
    var adoptions = 0
    /// Times that a mirror had to start over because of an error.
    var restarts = 0
    /// A stop said that it leaves something in doubt.
    var isInDoubt = false
    var foreign = 0
    var starts = 0
  }

  /// Makes topics, and what they hold before the mirror is armed.
  init(_ scenario: SeedScenario, _ clients: SeedClients) async throws {
    self.scenario = scenario
    self.clients = clients
    generator = RecordGenerator(seed: scenario.seed)
    var connections: [ClusterRole: ClusterConnection] = [:]
    for role in ClusterRole.allCases {
      connections[role] = await clients.sandbox.connection(
        role, properties: ["reconnect.backoff.max.ms": "500"], logger: log.logger)
    }
    self.connections = connections
    let from = try await clients.topic(on: .source, partitions: scenario.partitions)
    let to = try await clients.topic(on: .target, partitions: scenario.partitions)
    sources = (0..<scenario.partitions).map { TopicPartition(from, Int32($0)) }
    targets = (0..<scenario.partitions).map { TopicPartition(to, Int32($0)) }
    store = InMemoryMapStore(Dictionary(uniqueKeysWithValues: zip(sources, targets)))
    budgets = MirrorBudgets(backfill: scenario.bytesPerSecond, tail: scenario.bytesPerSecond)
    logs = Array(repeating: SeedLog(), count: scenario.partitions)
  }

  /// Performs the scenario and judges its end.
  ///
  /// Throws: ``Wrong`` - the mirror did something wrong; or a client's error.
  mutating func perform() async throws -> Report {
    do {
      try await prepare()
      for phase in scenario.phases { try await perform(phase) }
      for partition in logs.indices { try await judge(partition) }
    } catch {
      if let mirror {
        mirror.task.cancel()
        _ = await mirror.task.result
      }
      await deleteTopics()
      let lines = log.all.filter { !$0.contains("Configuration property") }.suffix(40)
      throw Wrong(description: "\(error)\n\(scenario)\n\(lines.joined(separator: "\n"))")
    }
    await deleteTopics()
    var report = Report()
    report.records = logs.reduce(0) { $0 + $1.originals.count }
    report.starts = starts
    report.foreign = logs.count { $0.foreign != nil }
    report.adoptions = log.all.count { $0.contains("stood on the") }
    report.restarts = log.all.count(where: Self.startsOver)
    report.isInDoubt = log.all.contains(where: Self.leavesDoubt)
    return report
  }

  private static func startsOver(_ line: String) -> Bool { line.contains("mirror starts over") }

  private static func leavesDoubt(_ line: String) -> Bool {
    line.contains("compares what is in doubt")
  }

  private func deleteTopics() async {
    try? await clients.deleteTopic(sources[0].topic, on: .source)
    try? await clients.deleteTopic(targets[0].topic, on: .target)
  }

  private mutating func prepare() async throws {
    for partition in logs.indices {
      let head = scenario.deletedHeads[partition]
      if head > 0 {
        _ = try await clients.write(generator.records(head), on: .source, to: sources[partition])
        try await clients.dropRecords(
          of: sources[partition], on: .source, before: Offset(Int64(head)))
      }
      if scenario.standing[partition] > 0 {
        logs[partition].standing = try await clients.write(
          generator.records(scenario.standing[partition]), on: .target, to: targets[partition])
      }
    }
  }

  private func place(_ partition: Int, on role: ClusterRole) -> TopicPartition {
    role == .source ? sources[partition] : targets[partition]
  }

  private mutating func perform(_ phase: SeedScenario.Phase) async throws {
    direction = phase.direction
    for partition in logs.indices {
      let origin = try await clients.bounds(
        place(partition, on: direction.origin), on: direction.origin)
      let destination = try await clients.bounds(
        place(partition, on: direction.destination), on: direction.destination)
      await store.arm(
        direction, sources[partition],
        readingFrom: logs[partition].originals.isEmpty && direction == .forward
          ? origin.start : origin.end,
        base: destination.end)
    }
    for step in phase.steps { try await perform(step) }
    try await catchUp()
    if logs.contains(where: { $0.foreign != nil }) { try await expectFaultAgain() }
    try await end(.stop)
  }

  private mutating func perform(_ step: SeedScenario.Step) async throws {
    switch step {
    case .write(let partition, let count):
      let written = try await clients.write(
        generator.records(count, valueBytes: scenario.valueBytes), on: direction.origin,
        to: place(partition, on: direction.origin))
      note(written, partition)
    case .transactions(let partition, let steps):
      try await writeTransactions(steps, partition)
    case .foreign(let partition):
      strangers += 1
      let record = Record(key: nil, value: Array("stranger".utf8), timestamp: Int64(strangers))
      let written = try await clients.write(
        [record], on: direction.destination, to: place(partition, on: direction.destination))
      logs[partition].foreign = SeedLog.Foreign(
        destination: direction.destination, offset: written[0].offset, record: record,
        mayBeFollowed: mirror != nil || wasTorn)
    case .dropMirrored(let partition):
      let known = try await store.state(of: sources[partition], direction).position
      try await clients.dropRecords(
        of: place(partition, on: direction.origin), on: direction.origin, before: known)
    case .dropCopies(let partition, let left):
      let place = place(partition, on: direction.destination)
      let end = try await clients.bounds(place, on: direction.destination).end
      guard end > Offset(Int64(left)) else { return }
      try await clients.dropRecords(
        of: place, on: direction.destination, before: end + Int64(-left))
    case .wait(let milliseconds):
      try await Task.sleep(for: .milliseconds(milliseconds))
    case .forget:
      isForgetful = true
      await store.setForgetful(true)
    case .start:
      start()
    case .settle:
      let deadline = ContinuousClock.now + .seconds(5)
      while let mirror, mirror.replicator.progress.all.count < logs.count, .now < deadline {
        try await Task.sleep(for: .milliseconds(5))
      }
    case .end(let ending):
      try await end(ending)
    case .trouble(let trouble):
      try await cause(trouble)
    }
  }

  private mutating func note(_ written: [SeedLog.Placed], _ partition: Int) {
    logs[partition].originals += written.map {
      SeedLog.Original(origin: direction.origin, offset: $0.offset, record: $0.record)
    }
  }

  /// What a transaction wrote is taken from a plain read, and must be what was committed.
  private mutating func writeTransactions(_ steps: [String], _ partition: Int) async throws {
    let place = place(partition, on: direction.origin)
    let start = try await clients.bounds(place, on: direction.origin).end
    try await clients.sandbox.writeTransactions(steps, to: place, on: direction.origin)
    let written = try await clients.read(place, on: direction.origin, from: start)
    var count = 0
    var committed: [[UInt8]?] = []
    for step in steps {
      let parts = step.split(separator: ":")
      let next = count + Int(parts[1])!
      if parts[0] == "commit" { committed += (count..<next).map { Array(String($0).utf8) } }
      count = next
    }
    guard written.map(\.record.value) == committed else {
      throw Wrong(description: "the broker does not show what was committed")
    }
    note(written, partition)
  }

  private mutating func start() {
    firstLine = log.all.count
    var limits = LaneLimits()
    limits.records = scenario.recordsInFlight
    limits.checkpointInterval = .milliseconds(scenario.checkpointMilliseconds)
    // All that is left at a start is backfill, so that every way to the tail is taken.
    limits.nearEnd = 0
    mirror = SeedMirror(
      Replicator(
        direction: direction, origin: connections[direction.origin]!,
        destination: connections[direction.destination]!, store: store, budgets: budgets,
        lanes: scenario.lanes, limits: limits, stillness: SeedTests.stillness,
        logger: connections[.source]!.logger),
      sources)
    wasTorn = false
    starts += 1
  }

  private mutating func end(_ ending: SeedScenario.Ending) async throws {
    guard let ended = mirror else { return }
    mirror = nil
    switch ending {
    case .stop:
      await ended.replicator.stop()
      try await ended.task.value
    case .cancel:
      ended.task.cancel()
      _ = await ended.task.result
    case .tear, .tearWhileSlow:
      let isSlow = ending == .tearWhileSlow && Sandbox.canDisturb
      let role = direction.destination
      if isSlow { try await clients.sandbox.disturb(role, "delay", ["ms": 40]) }
      await store.setFailing(true)
      // One that has nothing to note does not meet the refusal.
      let deadline = ContinuousClock.now + .milliseconds(400)
      while !ended.ended.isSet, .now < deadline { try await Task.sleep(for: .milliseconds(2)) }
      ended.task.cancel()
      _ = await ended.task.result
      await store.setFailing(false)
      if isSlow { try await clients.sandbox.disturb(role, "delay", ["ms": 0]) }
      wasTorn = true
    }
    try checkFaults(ended.replicator.progress.all)
    if ending == .stop, !isForgetful { try await checkNothingInDoubt(ended.replicator) }
    isForgetful = false
    await store.setForgetful(false)
  }

  /// What a mirror that was asked to stop leaves behind, the map knows.
  private func checkNothingInDoubt(_ replicator: Replicator) async throws {
    // One that has not reconciled yet, or had to do so again, or said that it leaves something in doubt, knows
    // nothing.
    let said = log.all.dropFirst(firstLine)
    guard replicator.progress.all.count == logs.count,
      !said.contains(where: { Self.startsOver($0) || Self.leavesDoubt($0) })
    else { return }
    let role = direction.destination
    for partition in logs.indices where logs[partition].foreign == nil {
      let end = try await clients.bounds(place(partition, on: role), on: role).end
      let expected = try await store.state(of: sources[partition], direction).expectedEnd(direction)
      guard end == expected else {
        throw Wrong(
          description: "\(place(partition, on: role)) ends at \(end) after a stop, not \(expected)")
      }
    }
  }

  private func checkFaults(_ progress: [TopicPartition: PartitionProgress]) throws {
    for partition in logs.indices {
      guard let fault = progress[sources[partition]]?.fault, fault != expectedFault(partition)
      else { continue }
      throw Wrong(description: "stopped without reason: \(fault.summary)")
    }
  }

  private func expectedFault(_ partition: Int) -> MirrorFault? {
    logs[partition].foreign.map {
      .foreignWrite(destination: place(partition, on: $0.destination), at: $0.offset)
    }
  }

  /// Waits until the running mirror has copied all that can be copied.
  private func catchUp(untilFault: Bool = false) async throws {
    let progress = mirror!.replicator.progress
    let deadline = ContinuousClock.now + .seconds(30)
    for partition in logs.indices {
      let end = try await clients.bounds(
        place(partition, on: direction.origin), on: direction.origin
      ).end
      while true {
        let known = progress.all[sources[partition]]
        try checkFaults(progress.all)
        if logs[partition].foreign == nil {
          if let known, known.position >= end { break }
        } else if !untilFault || known?.fault != nil {
          break
        }
        if mirror!.ended.isSet { try await mirror!.task.value }
        guard .now < deadline, !mirror!.ended.isSet else {
          throw Wrong(
            description: "\(sources[partition]) is at \(known as Any) after half a minute, not at "
              + (expectedFault(partition)?.summary ?? "\(end)"))
        }
        try await Task.sleep(for: .milliseconds(5))
      }
    }
  }

  /// A mirror that starts behind a foreign record says so and writes nothing there.
  private mutating func expectFaultAgain() async throws {
    try await end(.stop)
    let before = try await destinationEnds()
    start()
    try await catchUp(untilFault: true)
    try await end(.stop)
    for (partition, end) in try await destinationEnds().enumerated()
    where logs[partition].foreign != nil && end != before[partition] {
      throw Wrong(description: "partition \(partition) was written to after its fault")
    }
  }

  private func destinationEnds() async throws -> [Offset] {
    var ends: [Offset] = []
    for partition in logs.indices {
      ends.append(
        try await clients.bounds(
          place(partition, on: direction.destination), on: direction.destination
        ).end)
    }
    return ends
  }

  private func judge(_ partition: Int) async throws {
    var held: [ClusterRole: [SeedLog.Placed]] = [:]
    var starts: [ClusterRole: Offset] = [:]
    for role in ClusterRole.allCases {
      let start = try await clients.bounds(place(partition, on: role), on: role).start
      starts[role] = start
      held[role] = try await clients.read(place(partition, on: role), on: role, from: start)
    }
    let problems = logs[partition].problems(
      logs: held, starts: starts, map: try await store.map(of: sources[partition]),
      position: try await store.state(of: sources[partition], direction).position,
      direction: direction)
    guard problems.isEmpty else {
      throw Wrong(
        description: "partition \(partition): " + problems.joined(separator: "\n  "))
    }
  }

  private func cause(_ trouble: SeedScenario.Trouble) async throws {
    let sandbox = clients.sandbox
    func hold(_ milliseconds: Int) async { try? await Task.sleep(for: .milliseconds(milliseconds)) }
    switch trouble {
    case .cut(let role):
      try await sandbox.disturb(role, "cut")
    case .delay(let role, let milliseconds):
      try await sandbox.disturb(role, "delay", ["ms": milliseconds])
      await hold(200)
      try await sandbox.disturb(role, "delay", ["ms": 0])
    case .breakFrame(let role, let direction, let bytes, let api):
      try await sandbox.disturb(
        role, "breakframe", ["direction": direction, "after_bytes": bytes, "api": api])
    case .blackHole(let role, let direction, let milliseconds):
      try await sandbox.disturb(role, "blackhole", ["direction": direction, "on": true])
      await hold(milliseconds)
      try await sandbox.disturb(role, "blackhole", ["direction": direction, "on": false])
    case .pause(let role, let milliseconds):
      try await sandbox.disturb(role, "pause")
      await hold(milliseconds)
      try await sandbox.disturb(role, "cont")
    }
  }
}
