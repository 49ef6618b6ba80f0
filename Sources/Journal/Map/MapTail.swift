import Foundation
import GRDB
import KafkaModel

/// The last block of a partition's map, being written further.
struct MapTail {
  private let partition: PartitionID
  /// `nil` while the block has no row.
  private var row: Int64?
  private var number: Int64
  private var segments: [OffsetSegment]

  init(_ partition: PartitionID, _ db: Database) throws {
    self.partition = partition
    let statement = try db.cachedStatement(
      sql: """
        SELECT id, number, data FROM map_block WHERE partition = ? ORDER BY number DESC LIMIT 1
        """)
    let block = try Row.fetchOne(statement, arguments: [partition.rawValue])
    row = block?["id"]
    number = block?["number"] ?? 0
    segments = try block.map { try OffsetMapCodec.decode($0["data"]) } ?? []
  }

  /// Throws: ``JournalError`` `invalid` - `segment` does not lie behind the map's end.
  mutating func append(_ segment: OffsetSegment, _ db: Database) throws {
    guard Self.isPossible(segment) else {
      throw JournalError.invalid(reason: "the segment \(segment) is impossible")
    }
    guard let last = segments.last else {
      segments = [segment]
      return
    }
    guard segment.sourceStart >= last.sourceEnd, segment.targetStart >= last.targetEnd else {
      throw JournalError.invalid(
        reason: """
          partition \(partition.rawValue): the pair (\(segment.sourceStart), \
          \(segment.targetStart)) lies before the map's end \
          (\(last.sourceEnd), \(last.targetEnd))
          """)
    }
    if segment.sourceStart == last.sourceEnd, segment.targetStart == last.targetEnd {
      segments[segments.count - 1].count += segment.count
    } else if segments.count < OffsetMapCodec.maximumSegments {
      segments.append(segment)
    } else {
      try store(db)
      row = nil
      number += 1
      segments = [segment]
    }
  }

  /// Forgets every pair at or behind `end` on `role`'s log, through as many blocks as it takes.
  /// Returns where the first forgotten record stood on the other log; `nil` where none was.
  static func truncate(
    _ partition: PartitionID, to end: Offset, on role: ClusterRole, _ db: Database
  ) throws -> Offset? {
    var firstRemoved: Offset?
    while true {
      var tail = try MapTail(partition, db)
      var map = OffsetMap()
      for segment in tail.segments { try map.append(segment) }
      guard let removed = map.translate(end, from: role) else { return firstRemoved }
      firstRemoved = removed
      map.truncate(to: end, on: role)
      tail.segments = map.segments
      if !map.segments.isEmpty { try tail.store(db) } else { try tail.remove(db) }
    }
  }

  func store(_ db: Database) throws {
    guard let first = segments.first, let last = segments.last else { return }
    let data = OffsetMapCodec.encode(segments)
    if let row {
      let statement = try db.cachedStatement(
        sql: "UPDATE map_block SET source_end = ?, target_end = ?, data = ? WHERE id = ?")
      try statement.execute(
        arguments: [last.sourceEnd.rawValue, last.targetEnd.rawValue, data, row])
    } else {
      let statement = try db.cachedStatement(
        sql: """
          INSERT INTO map_block (
            partition, number, source_start, target_start, source_end, target_end, data
          ) VALUES (?, ?, ?, ?, ?, ?, ?)
          """)
      try statement.execute(
        arguments: [
          partition.rawValue, number, first.sourceStart.rawValue, first.targetStart.rawValue,
          last.sourceEnd.rawValue, last.targetEnd.rawValue, data,
        ])
    }
  }

  private func remove(_ db: Database) throws {
    try db.execute(sql: "DELETE FROM map_block WHERE id = ?", arguments: [row])
  }

  private static func isPossible(_ segment: OffsetSegment) -> Bool {
    let starts = [segment.sourceStart.rawValue, segment.targetStart.rawValue]
    return segment.count > 0
      && starts.allSatisfy { $0 >= 0 && !$0.addingReportingOverflow(segment.count).overflow }
  }
}
