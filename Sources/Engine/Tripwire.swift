internal import Cutover
internal import Foundation
internal import Kafka
package import KafkaModel
internal import Logging
internal import Mirror
internal import Synchronization

/// Offsets of a source partition that the reverse mirror did not write.
package struct StrayWrite: Codable, Hashable, Sendable {
  package let partition: TopicPartition
  package let from: Offset
  package let count: Int64
}

/// Watches, after the switch, for writes to the source that are not the reverse mirror's.
///
/// What stands behind the mirror's last record may still be under way to being noted, so a log's tail
/// counts as a stray only once it, and the mirror, have stood still between two looks. Where the mirror has
/// stopped nothing of its own is under way, and where it notes nothing for several looks nothing was: then what
/// stood there at the earlier look counts, however many others still come.
final class Tripwire: Sendable {
  private struct Look {
    let from: Offset
    let end: Offset
    /// Where the log ended when this was first seen, and how often it was since.
    let firstEnd: Offset
    let count: Int
  }

  private struct State {
    var at: ContinuousClock.Instant?
    var looks: [TopicPartition: Look] = [:]
    var strays: [StrayWrite] = []
    /// Partitions about whose strays a decision is under way.
    var claimed: Set<TopicPartition> = []
    /// It was decided, and the mirror has to start anew with that.
    var decision = Decision.none

    mutating func drop(_ gone: [StrayWrite]) {
      let partitions = Set(gone.map(\.partition))
      strays.removeAll { partitions.contains($0.partition) }
      looks = looks.filter { !partitions.contains($0.key) }
    }
  }

  private enum Decision {
    case none
    /// The mirror waits until nobody writes to these partitions any more.
    case taken(Set<TopicPartition>)
    case starting
  }

  private let state = Mutex(State())

  /// How far apart two looks are at least.
  static let patience = Duration.seconds(1)
  /// After how many looks a mirror that runs is taken to have nothing under way.
  private static let looks = 5

  /// What was found last.
  var strays: [StrayWrite] { state.withLock { $0.strays } }

  /// Something is being decided about what was found, or was, and the mirror has yet to go on with it.
  var isDeciding: Bool {
    state.withLock { state in
      if case .none = state.decision { return !state.claimed.isEmpty }
      return true
    }
  }

  /// The mirror starts anew with what was decided.
  var isStarting: Bool {
    state.withLock { if case .starting = $0.decision { true } else { false } }
  }

  /// Takes strays to decide about; nobody else gets them until ``decide(_:)`` or ``release(_:)``.
  ///
  /// - Parameter pick: which, of those that were found.
  func claim(_ pick: ([StrayWrite]) throws -> [StrayWrite]) rethrows -> [StrayWrite] {
    try state.withLock { state in
      let picked = try pick(state.strays)
      state.claimed.formUnion(picked.map(\.partition))
      state.drop(picked)
      return picked
    }
  }

  /// Something was decided about these strays, and journalled; or they are the mirror's own, and it has to
  /// look at them again.
  ///
  /// - Parameter isAwaitingQuiet: the mirror goes on when nothing is left to decide about there. As long as
  ///   others go on writing where it has stopped, starting it would be in vain, and hold up all other partitions.
  func decide(_ strays: [StrayWrite], isAwaitingQuiet: Bool = false) {
    state.withLock { state in
      let partitions = Set(strays.map(\.partition))
      state.claimed.subtract(partitions)
      state.drop(strays)
      if !isAwaitingQuiet {
        state.decision = .taken([])
      } else if case .taken(let known) = state.decision {
        state.decision = .taken(known.union(partitions))
      } else {
        state.decision = .taken(partitions)
      }
    }
  }

  /// Nothing was decided about these: they are looked for again.
  func release(_ strays: [StrayWrite]) {
    state.withLock { $0.claimed.subtract(strays.map(\.partition)) }
  }

  /// Whether the mirror has to be started anew, once for each decision.
  ///
  /// - Parameter isQuiet: whether nothing is left to decide about in a partition.
  func takeDecision(_ isQuiet: (TopicPartition) -> Bool) -> Bool {
    state.withLock { state in
      guard case .taken(let partitions) = state.decision, state.claimed.isEmpty,
        partitions.allSatisfy(isQuiet)
      else { return false }
      state.decision = .starting
      return true
    }
  }

  /// The mirror that was started anew has looked at every partition.
  func endDecision() {
    state.withLock { if case .starting = $0.decision { $0.decision = .none } }
  }

  /// Looks again, if the last look was long enough ago.
  ///
  /// - Parameters:
  ///   - mirrored: of each partition's reverse mirror.
  ///   - ends: where the source's logs end, by the same names; asked for after `mirrored`.
  ///   - decided: about what was decided.
  func look(
    mirrored: [TopicPartition: PartitionProgress], ends: [TopicPartition: Offset],
    decided: (TopicPartition) -> Stretches
  ) {
    state.withLock { state in
      let now = ContinuousClock.now
      if let at = state.at, now - at < Self.patience { return }
      state.at = now
      var looks: [TopicPartition: Look] = [:]
      var strays: [StrayWrite] = []
      for (partition, end) in ends where !state.claimed.contains(partition) {
        guard let progress = mirrored[partition], end > progress.destinationEnd else { continue }
        let from = decided(partition).passing(progress.destinationEnd)
        guard end > from else { continue }
        let last = state.looks[partition].flatMap { $0.from == from ? $0 : nil }
        looks[partition] = Look(
          from: from, end: end, firstEnd: last?.firstEnd ?? end, count: (last?.count ?? 0) + 1)
        guard let last else { continue }
        if last.end == end || progress.fault != nil {
          strays.append(StrayWrite(partition, from..<last.end))
        } else if last.count >= Self.looks {
          strays.append(StrayWrite(partition, from..<last.firstEnd))
        }
      }
      state.looks = looks
      state.strays = strays.sorted { $0.partition < $1.partition }
    }
  }
}

extension StrayWrite {
  /// For people.
  package var summary: String {
    "somebody else wrote \(count) record\(count == 1 ? "" : "s") to \(partition) on the source, from offset \(from) on"
  }
}

extension StageSteps {
  /// Looks for strays where the reverse mirror runs.
  func checkTripwire() async throws {
    guard context.machine.phase.isReverseMirrored, await context.mirrors.direction == .reverse
    else { return }
    let tripwire = context.tripwire
    if tripwire.isStarting {
      let faults = try await context.mirrors.uncheckedProgress().values.contains { $0.fault != nil }
      let isSettled = try? await context.mirrors.isSettled()
      guard faults || isSettled == true else { return }
      tripwire.endDecision()
    }
    let mirrored = try await context.mirrors.uncheckedProgress()
    let ends = try await context.ends(on: .source, stable: false)
    func decided(_ partition: TopicPartition) -> Stretches {
      Stretches(ranges: context.ledger.leftStrays(of: partition))
    }
    let before = Set(tripwire.strays.map(\.place))
    tripwire.look(mirrored: mirrored, ends: ends, decided: decided)
    for stray in tripwire.strays where !before.contains(stray.place) {
      context.logger.error("\(stray.summary)")
    }
    let isDue = tripwire.takeDecision { partition in
      guard let progress = mirrored[partition], progress.fault != nil, let end = ends[partition]
      else { return true }
      return decided(partition).passing(progress.destinationEnd) >= end
    }
    if isDue { try await context.mirrors.restart() }
  }
}

extension StrayWrite {
  /// Where it begins: more may come.
  fileprivate var place: String { "\(partition) \(from)" }
}
