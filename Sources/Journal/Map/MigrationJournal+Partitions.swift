import GRDB
package import KafkaModel

extension MigrationJournal {
  /// Pins `source` to `target` for the migration's life. Asking again returns the same number.
  ///
  /// Throws: `pinned` - `source` has another target; `targetTaken` - `target` has another source;
  /// `fenced`, `full`, `busy`, `storage`.
  package func registerPartition(
    source: TopicPartition, target: TopicPartition, lease: Lease
  ) throws(JournalError) -> PartitionID {
    try write(lease) { db in try Self.register(source, target, db) }
  }

  /// As ``registerPartition(source:target:lease:)`` for many, all or none.
  package func registerPartitions(
    _ pairs: [(source: TopicPartition, target: TopicPartition)], lease: Lease
  ) throws(JournalError) {
    try write(lease) { db in
      for (source, target) in pairs { _ = try Self.register(source, target, db) }
    }
  }

  private static func register(
    _ source: TopicPartition, _ target: TopicPartition, _ db: Database
  ) throws -> PartitionID {
    if let row = try partition(.source, source, db) {
      guard row.target == target else {
        throw JournalError.pinned(source: source, pinned: row.target, asked: target)
      }
      return row.id
    }
    if let row = try partition(.target, target, db) {
      throw JournalError.targetTaken(target: target, by: row.source)
    }
    try db.execute(
      sql: """
        INSERT INTO partition (source_topic, source_partition, target_topic, target_partition)
        VALUES (?, ?, ?, ?)
        """,
      arguments: [source.topic, source.partition, target.topic, target.partition])
    return PartitionID(rawValue: db.lastInsertedRowID)
  }

  /// Every registered partition, by source topic and partition.
  ///
  /// Throws: `unreadable`, `busy`, `storage`.
  package func partitions() throws(JournalError) -> [PartitionRow] {
    try read(Self.partitions)
  }

  /// One registered partition as it stands now.
  ///
  /// Throws: `invalid` - it is not registered; `unreadable`, `busy`, `storage`.
  package func partition(_ id: PartitionID) throws(JournalError) -> PartitionRow {
    try read { db in try Self.partition(id, db) }
  }

  static func partitions(_ db: Database) throws -> [PartitionRow] {
    try Row.fetchAll(
      db, sql: PartitionRow.selection + " ORDER BY source_topic, source_partition"
    ).map(PartitionRow.init)
  }

  static func partition(_ id: PartitionID, _ db: Database) throws -> PartitionRow {
    let statement = try db.cachedStatement(sql: PartitionRow.selection + " WHERE partition.id = ?")
    guard let row = try Row.fetchOne(statement, arguments: [id.rawValue]) else {
      throw JournalError.invalid(reason: "there is no partition \(id.rawValue)")
    }
    return PartitionRow(row)
  }

  private static func partition(
    _ role: ClusterRole, _ place: TopicPartition, _ db: Database
  ) throws -> PartitionRow? {
    let side = role.rawValue
    return try Row.fetchOne(
      db, sql: PartitionRow.selection + " WHERE \(side)_topic = ? AND \(side)_partition = ?",
      arguments: [place.topic, place.partition]
    ).map(PartitionRow.init)
  }
}
