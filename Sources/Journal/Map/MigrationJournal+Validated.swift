import Foundation
import GRDB
package import KafkaModel

extension MigrationJournal {
  /// Records that the mirrored records of `sourceRange` were found equal on both sides. Recording the
  /// same range again replaces it.
  ///
  /// Throws: `invalid` - the range is empty, or the partition is not registered; `fenced`, `full`,
  /// `busy`, `storage`.
  package func recordValidated(
    partition: PartitionID, sourceRange: Range<Offset>, records: Int64, digest: RecordDigest,
    lease: Lease
  ) throws(JournalError) {
    try write(lease) { db in
      let statement = try db.cachedStatement(
        sql: """
          INSERT INTO validated (partition, source_start, source_end, records, digest, time)
          VALUES (?, ?, ?, ?, ?, ?)
          ON CONFLICT DO UPDATE SET
            records = excluded.records, digest = excluded.digest, time = excluded.time
          """)
      try statement.execute(
        arguments: [
          partition.rawValue, sourceRange.lowerBound.rawValue, sourceRange.upperBound.rawValue,
          records, digest.data, Date().milliseconds,
        ])
    }
  }

  /// Every validated range of `partition`, by where it begins. Ranges may overlap.
  ///
  /// Throws: `unreadable`, `busy`, `storage`.
  package func validatedRanges(_ partition: PartitionID) throws(JournalError) -> [ValidatedRange] {
    try read { db in
      let rows = try Row.fetchAll(
        db,
        sql: "SELECT * FROM validated WHERE partition = ? ORDER BY source_start, source_end",
        arguments: [partition.rawValue])
      return rows.map { row in
        ValidatedRange(
          sourceRange: Offset(row["source_start"])..<Offset(row["source_end"]),
          records: row["records"], digest: RecordDigest(row["digest"] as Data),
          time: Date(milliseconds: row["time"]))
      }
    }
  }

  /// The source offset up to which validation has gone without a gap from where it first began; `nil`
  /// where nothing is validated.
  ///
  /// Throws: `unreadable`, `busy`, `storage`.
  package func validatedUpTo(_ partition: PartitionID) throws(JournalError) -> Offset? {
    var end: Offset?
    for range in try validatedRanges(partition).map(\.sourceRange) {
      guard let reached = end else {
        end = range.upperBound
        continue
      }
      if range.lowerBound > reached { break }
      end = max(reached, range.upperBound)
    }
    return end
  }
}
