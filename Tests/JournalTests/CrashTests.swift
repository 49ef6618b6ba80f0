import Foundation
import Journal
import KafkaModel
import Testing

@Suite struct `Crash safety` {
  @Test(arguments: 0..<5)
  func `Nothing acknowledged is lost when the process is killed while it writes`(
    _ round: Int
  ) async throws {
    let file = try TemporaryJournal()
    let (path, folder) = (file.path, file.folder.path())
    await #expect(processExitsWith: .signal(SIGKILL)) {
      [path = path as String, folder = folder as String, round = round as Int] in
      let journal = try MigrationJournal.open(at: path, mode: .create(migration: "orders"))
      let lease = try journal.acquireLease(holder: .current, duration: .seconds(3600))
      let place = TopicPartition("orders", 0)
      let id = try journal.registerPartition(source: place, target: place, lease: lease)
      Thread.detachNewThread {
        let done = folder + "/done"
        while !FileManager.default.fileExists(atPath: done) { Thread.sleep(forTimeInterval: 0.01) }
        Thread.sleep(forTimeInterval: 0.1 + 0.03 * Double(round))
        kill(getpid(), SIGKILL)
      }
      for number in 1... as PartialRangeFrom<Int64> {
        try journal.append([NewEvent(kind: "step")], lease: lease)
        let segment = OffsetSegment(
          sourceStart: Offset(number * 3), targetStart: Offset(number * 2), count: 2)
        try journal.appendMap([MapCheckpoint(partition: id, segments: [segment])], lease: lease)
        try Data("\(number)".utf8).write(
          to: URL(filePath: folder).appending(path: "done"), options: .atomic)
      }
    }
    let text = try? String(contentsOf: file.folder.appending(path: "done"), encoding: .utf8)
    let done = text.flatMap { Int($0) } ?? 0
    #expect(done > 0, "the process was killed before it had recorded anything")
    let journal = try file.open()
    #expect(try journal.acquire().token == 2)
    #expect(try journal.events().count - done <= 1)
    #expect(try journal.events().count >= done)
    guard case .intact = try journal.verify() else {
      Issue.record("\(try journal.verify())")
      return
    }
    let partition = try #require(try journal.partitions().first)
    #expect(try journal.loadMap(partition.id).map.segments.count >= done)
  }
}
