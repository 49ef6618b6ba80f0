import Foundation
import GRDB
package import KafkaModel

extension MigrationJournal {
  /// Adds what several partitions' mirrors did, in one transaction.
  ///
  /// Throws: `invalid` - a partition is not registered, or a segment is empty or does not lie behind
  /// the map's end; then nothing is stored. `unreadable` - a stored block is damaged. `fenced`, `full`,
  /// `busy`, `storage`.
  package func appendMap(_ checkpoints: [MapCheckpoint], lease: Lease) throws(JournalError) {
    try write(lease) { db in
      for checkpoint in checkpoints { try Self.append(checkpoint, db) }
    }
  }

  /// Everything stored about the mirror of `partition`.
  ///
  /// Throws: `unreadable` - a stored block is damaged or missing; `invalid` - the partition is not
  /// registered; `busy`, `storage`.
  package func loadMap(_ partition: PartitionID) throws(JournalError) -> StoredMap {
    try read { db in
      let row = try Self.partition(partition, db)
      return StoredMap(
        map: try Self.map(partition, db), lastDigest: row.lastDigest, positions: row.positions)
    }
  }

  /// Everything stored about the mirrors of all registered partitions, at one moment and in one go: asked
  /// for one by one, a thousand partitions take a second or more.
  ///
  /// - Parameter wanted: only these; `nil` is all.
  ///
  /// Throws: `unreadable` - a stored block is damaged or missing; `busy`, `storage`.
  package func loadMaps(
    _ wanted: Set<PartitionID>? = nil
  ) throws(JournalError) -> [PartitionID: StoredMap] {
    try read { db in
      let rows = try Self.partitions(db).filter { wanted?.contains($0.id) ?? true }
      var maps = Dictionary(uniqueKeysWithValues: rows.map { ($0.id, MapAssembly()) })
      let blocks = try Row.fetchCursor(
        db, sql: "SELECT partition, number, data FROM map_block ORDER BY partition, number")
      while let block = try blocks.next() {
        try maps[PartitionID(rawValue: block["partition"])]?.append(
          number: block["number"], data: block["data"])
      }
      return Dictionary(
        uniqueKeysWithValues: rows.map { row in
          (
            row.id,
            StoredMap(
              map: maps[row.id]?.map ?? OffsetMap(), lastDigest: row.lastDigest,
              positions: row.positions)
          )
        })
    }
  }

  /// The bytes that the map's blocks take, without SQLite's own.
  ///
  /// Throws: `unreadable`, `busy`, `storage`.
  package func mapBytes(_ partition: PartitionID) throws(JournalError) -> Int64 {
    try read { db in
      try Int64.fetchOne(
        db, sql: "SELECT coalesce(sum(length(data)), 0) FROM map_block WHERE partition = ?",
        arguments: [partition.rawValue]) ?? 0
    }
  }

  /// Forgets every pair at or behind `end` of `role`'s log, which lost its tail. The positions go back
  /// to where the forgotten records are read again, and ranges validated beyond that are forgotten.
  ///
  /// - Parameter lastDigest: Of the last pair that stays; `nil` where unknown or where none stays.
  ///
  /// Throws: `unreadable` - a stored block is damaged; `invalid` - the partition is not registered;
  /// `fenced`, `full`, `busy`, `storage`.
  package func truncateMap(
    _ partition: PartitionID, to end: Offset, on role: ClusterRole, lastDigest: RecordDigest?,
    lease: Lease
  ) throws(JournalError) {
    try write(lease) { db in
      let before = try Self.partition(partition, db)
      let removed = try MapTail.truncate(partition, to: end, on: role, db)
      let positions = before.positions.merging(
        Direction.allCases.compactMap { direction in
          let limit = direction.origin == role ? end : removed
          return limit.map { (direction, $0) }
        }, uniquingKeysWith: min
      ).filter { before.positions[$0.key] != nil }
      try db.execute(
        sql: """
          UPDATE partition SET last_digest = ?, forward_position = ?, reverse_position = ?
          WHERE id = ?
          """,
        arguments: [
          lastDigest?.data, positions[.forward]?.rawValue, positions[.reverse]?.rawValue,
          partition.rawValue,
        ])
      if let sourceEnd = role == .source ? end : removed {
        try db.execute(
          sql: "DELETE FROM validated WHERE partition = ? AND source_end > ?",
          arguments: [partition.rawValue, sourceEnd.rawValue])
      }
    }
  }

  static func map(_ partition: PartitionID, _ db: Database) throws -> OffsetMap {
    var assembly = MapAssembly()
    let blocks = try Row.fetchCursor(
      db, sql: "SELECT number, data FROM map_block WHERE partition = ? ORDER BY number",
      arguments: [partition.rawValue])
    while let block = try blocks.next() {
      try assembly.append(number: block["number"], data: block["data"])
    }
    return assembly.map
  }

  private static func append(_ checkpoint: MapCheckpoint, _ db: Database) throws {
    let id = checkpoint.partition
    if !checkpoint.segments.isEmpty {
      var tail = try MapTail(id, db)
      for segment in checkpoint.segments { try tail.append(segment, db) }
      try tail.store(db)
    }
    let position = checkpoint.originPosition
    let statement = try db.cachedStatement(
      sql: """
        UPDATE partition SET
          last_digest = CASE WHEN ? THEN last_digest ELSE ? END,
          forward_position = coalesce(?, forward_position),
          reverse_position = coalesce(?, reverse_position)
        WHERE id = ?
        """)
    try statement.execute(
      arguments: [
        checkpoint.segments.isEmpty && checkpoint.lastDigest == nil, checkpoint.lastDigest?.data,
        position?.direction == .forward ? position?.position.rawValue : nil,
        position?.direction == .reverse ? position?.position.rawValue : nil, id.rawValue,
      ])
    guard db.changesCount == 1 else {
      throw JournalError.invalid(reason: "there is no partition \(id.rawValue)")
    }
  }
}

/// A map that is put together from its blocks, in order.
private struct MapAssembly {
  private(set) var map = OffsetMap()
  private var number: Int64 = 0

  mutating func append(number found: Int64, data: Data) throws {
    guard found == number else {
      throw OffsetMapCodec.Damaged(reason: "map block \(number) is missing")
    }
    for segment in try OffsetMapCodec.decode(data) {
      do { try map.append(segment) } catch {
        throw OffsetMapCodec.Damaged(reason: "map block \(number) overlaps the one before")
      }
    }
    number += 1
  }
}
