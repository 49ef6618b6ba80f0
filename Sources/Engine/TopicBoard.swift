internal import Foundation
internal import Kafka
internal import KafkaModel
internal import Mirror
internal import Synchronization

/// How the topics of one stage are doing, from samples of the mirror that runs.
final class TopicBoard: Sendable {
  private struct State {
    var direction: Direction?
    var watches: [TopicPartition: PartitionWatch] = [:]
    var starts: [TopicPartition: Offset] = [:]
    var startsAt = ContinuousClock.now
  }

  private let state = Mutex(State())

  /// Takes a sample. What a cluster does not answer stays as it was.
  func sample(_ context: StageContext) async {
    guard let direction = await context.mirrors.direction,
      let progress = try? await context.mirrors.uncheckedProgress()
    else {
      state.withLock { $0 = State() }
      return
    }
    let origin = direction.origin
    let partitions = context.keys(on: origin)
    let names = partitions.map { context.name(of: $0, on: origin) }
    guard let ends = try? await context.clusters.admin(origin).offsets(.end, of: names) else {
      return
    }
    await readStarts(context, direction, names)
    let now = Date().timeIntervalSince1970
    state.withLock { state in
      for (partition, name) in zip(partitions, names) {
        guard let progress = progress[partition], let end = ends[name] else { continue }
        let sample = PartitionSample(
          progress, start: state.starts[name] ?? progress.position, end: end)
        if state.watches[partition]?.take(sample, at: now) == nil {
          state.watches[partition] = PartitionWatch(sample, at: now)
        }
      }
    }
  }

  /// Log starts move seldom: every ten seconds is often enough.
  private func readStarts(
    _ context: StageContext, _ direction: Direction, _ names: [TopicPartition]
  ) async {
    let isDue = state.withLock { state in
      if state.direction != direction {
        state = State()
        state.direction = direction
        return true
      }
      return state.starts.isEmpty || .now - state.startsAt > .seconds(10)
    }
    guard isDue,
      let starts = try? await context.clusters.admin(direction.origin).offsets(.start, of: names)
    else { return }
    state.withLock {
      $0.starts = starts
      $0.startsAt = .now
    }
  }

  /// The worst first; empty while no mirror runs.
  func topics(_ planned: [PlannedTopic]) -> [TopicStatus] {
    state.withLock { state in
      guard let direction = state.direction else { return [] }
      return planned.compactMap { topic in
        let watches = topic.keys(on: direction.origin).compactMap { state.watches[$0] }
        return watches.isEmpty ? nil : TopicStatus(topic, watches, direction)
      }.sorted(by: TopicStatus.isWorse)
    }
  }
}
