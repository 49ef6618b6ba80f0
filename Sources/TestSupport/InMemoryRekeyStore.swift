package import KafkaModel
package import Mirror

/// Keeps one rekeyed topic's cuts in memory, as the journal does in a file, and can forget the last of what
/// it was told: a process that was killed before it wrote.
package actor InMemoryRekeyStore: RekeyStore {
  package private(set) var cuts: [RekeyCut]
  package private(set) var intent: (direction: Direction, end: [Offset])?
  /// Rounds are begun, and their cuts are not noted.
  private var isForgetful = false

  /// What a store throws that is to end its mirror after a round was written.
  package struct Forgotten: Error {}

  /// - Parameter topic: armed at the beginning of all logs.
  package init(_ topic: RekeyTopic) {
    func zeros(_ role: ClusterRole) -> [Offset] { topic.keys(on: role).map { _ in Offset(0) } }
    cuts = [
      RekeyCut(
        number: 0, kind: .base, source: zeros(.source), target: zeros(.target), records: 0)
    ]
  }

  package func setForgetful(_ isForgetful: Bool) { self.isForgetful = isForgetful }

  /// Arms the other direction at the last cut.
  package func arm() {
    guard var cut = cuts.last else { return }
    cut.number += 1
    cut.kind = .base
    cut.records = 0
    cuts.append(cut)
  }

  /// Takes the last cut back: the round before it was begun, and not noted as complete.
  package func forgetLast(_ direction: Direction) {
    guard let last = cuts.popLast() else { return }
    intent = (direction, last.ends(on: direction.origin))
  }

  package func cuts(of topic: String) async throws -> [RekeyCut] { cuts }

  package func intent(of topic: String, _ direction: Direction) async throws -> [Offset]? {
    intent?.direction == direction ? intent?.end : nil
  }

  package func begin(_ topic: String, _ direction: Direction, to end: [Offset]) async throws {
    intent = (direction, end)
  }

  package func complete(_ topic: String, _ cut: RekeyCut) async throws {
    if isForgetful { throw Forgotten() }
    cuts.append(cut)
    intent = nil
  }
}
