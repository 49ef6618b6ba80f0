internal import Foundation
internal import Journal
internal import Kafka
internal import KafkaModel
internal import Mirror

/// A mirror at work in a benchmark, with a journal in a file of its own.
struct BenchedMirror {
  /// What ``Replicator`` and ``RekeyMirror`` have in common.
  private protocol Work: Sendable {
    var progress: MirrorProgress { get }
    func stop() async
    /// Waits until its clients are gone, once it has ended: what is measured next has the machine for itself.
    func close() async
  }

  private struct Ordinary: Work {
    let replicator: Replicator
    var progress: MirrorProgress { replicator.progress }
    func stop() async { await replicator.stop() }
    func close() async { await replicator.close() }
  }

  private struct Rekeyed: Work {
    let mirror: RekeyMirror
    var progress: MirrorProgress { mirror.progress }
    func stop() async { await mirror.stop() }
    func close() async {}
  }

  private let work: any Work
  private let task: Task<Void, any Error>
  private let directory: URL

  /// Copies partitions to others of the same number.
  ///
  /// - Parameters:
  ///   - name: of its directory.
  ///   - make: makes the mirror, with its store.
  /// Throws: `JournalError`, or an error of the file system.
  init(
    _ pairs: [(source: TopicPartition, target: TopicPartition)], named name: String,
    _ make: (any MapStore) -> Replicator
  ) throws {
    let (journal, lease, directory) = try Self.journal(name)
    for (source, target) in pairs {
      _ = try journal.registerPartition(source: source, target: target, lease: lease)
    }
    let replicator = make(try JournalMapStore(Ledger(journal, lease: lease)))
    work = Ordinary(replicator: replicator)
    task = Task { try await replicator.run(pairs.map(\.source)) }
    self.directory = directory
  }

  /// Copies a topic that is rekeyed; as ``init(_:named:_:)``.
  init(
    _ topic: RekeyTopic, named name: String, _ make: (any RekeyStore) -> RekeyMirror
  ) throws {
    let (journal, lease, directory) = try Self.journal(name)
    func starts(_ role: ClusterRole) -> [Offset] { topic.keys(on: role).map { _ in Offset(0) } }
    try journal.appendRekeyCut(
      RekeyCut(
        number: 0, kind: .base, source: starts(.source), target: starts(.target), records: 0),
      of: topic.source, lease: lease)
    let mirror = make(JournalRekeyStore(ledger: try Ledger(journal, lease: lease)))
    work = Rekeyed(mirror: mirror)
    task = Task { try await mirror.run() }
    self.directory = directory
  }

  private static func journal(
    _ name: String
  ) throws -> (MigrationJournal, Lease, URL) {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent(name)
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    let journal = try MigrationJournal.open(
      at: directory.appendingPathComponent("bench.db").path, mode: .create(migration: "bench"))
    return (
      journal, try journal.acquireLease(holder: .current, duration: .seconds(86400)), directory
    )
  }

  /// It has seen where the logs end, and is about to copy.
  var isReady: Bool { !work.progress.all.isEmpty }

  /// Records that it has copied.
  var stored: Int64 { work.progress.all.values.reduce(0) { $0 + $1.records } }

  /// Waits a moment, and throws what has gone wrong.
  func check() async throws {
    for fault in work.progress.all.values.compactMap(\.fault) {
      throw EngineError.partitionStopped(fault)
    }
    do { try await Task.sleep(for: .milliseconds(5)) } catch {
      try await stop()
      throw error
    }
  }

  func stop() async throws {
    await work.stop()
    try await task.value
    await work.close()
    try FileManager.default.removeItem(at: directory)
  }
}
