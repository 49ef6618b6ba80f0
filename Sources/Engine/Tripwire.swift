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
/// counts as a stray only once it, and the mirror, have stood still between two looks.
final class Tripwire: Sendable {
  private struct Look: Equatable {
    let mirrored: Offset
    let end: Offset
  }

  private struct State {
    var at: ContinuousClock.Instant?
    var looks: [TopicPartition: Look] = [:]
    var strays: [StrayWrite] = []
    /// People have decided; the mirror has to start anew with that.
    var decision = Decision.none
  }

  private enum Decision { case none, taken, starting }

  private let state = Mutex(State())

  /// How far apart two looks are at least.
  static let patience = Duration.seconds(1)

  /// What was found last.
  var strays: [StrayWrite] { state.withLock { $0.strays } }

  /// Something was decided about what was found, and the mirror has yet to go on with it.
  var isDeciding: Bool { state.withLock { $0.decision != .none } }

  /// Something was decided about these strays, and journalled.
  func decide(_ strays: [StrayWrite]) {
    state.withLock { state in
      let decided = Set(strays.map(\.partition))
      state.strays.removeAll { decided.contains($0.partition) }
      state.looks = state.looks.filter { !decided.contains($0.key) }
      state.decision = .taken
    }
  }

  /// Whether the mirror has to be started anew, once for each decision.
  func takeDecision() -> Bool {
    state.withLock { state in
      guard state.decision == .taken else { return false }
      state.decision = .starting
      return true
    }
  }

  /// The mirror that was started anew has looked at every partition.
  func endDecision() {
    state.withLock { if $0.decision == .starting { $0.decision = .none } }
  }

  /// Looks again, if the last look was long enough ago.
  ///
  /// - Parameters:
  ///   - mirrored: of each partition's reverse mirror.
  ///   - ends: where the source's logs end, by the same names; asked for after `mirrored`.
  func look(mirrored: [TopicPartition: PartitionProgress], ends: [TopicPartition: Offset]) {
    state.withLock { state in
      let now = ContinuousClock.now
      if let at = state.at, now - at < Self.patience { return }
      state.at = now
      var looks: [TopicPartition: Look] = [:]
      var strays: [StrayWrite] = []
      for (partition, end) in ends {
        guard let progress = mirrored[partition], end > progress.destinationEnd else { continue }
        let look = Look(mirrored: progress.destinationEnd, end: end)
        looks[partition] = look
        // A partition that is written to all the time has a fault of its own already.
        if state.looks[partition] == look {
          strays.append(
            StrayWrite(
              partition: partition, from: look.mirrored, count: look.end - look.mirrored))
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
    if context.tripwire.takeDecision() { try await context.mirrors.restart() }
    if context.tripwire.isDeciding {
      let faults = try await context.mirrors.uncheckedProgress().values.contains { $0.fault != nil }
      let isSettled = try? await context.mirrors.isSettled()
      guard faults || isSettled == true else { return }
      context.tripwire.endDecision()
    }
    let mirrored = try await context.mirrors.uncheckedProgress()
    let ends = try await context.ends(on: .source, stable: false)
    let before = Set(context.tripwire.strays)
    context.tripwire.look(mirrored: mirrored, ends: ends)
    for stray in context.tripwire.strays where !before.contains(stray) {
      context.logger.error("\(stray.summary)")
    }
  }
}
