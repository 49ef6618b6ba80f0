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
    try recordValidated(
      [
        (
          partition,
          ValidatedRange(sourceRange: sourceRange, records: records, digest: digest)
        )
      ], lease: lease)
  }

  /// As ``recordValidated(partition:sourceRange:records:digest:lease:)`` for many ranges, in one
  /// transaction.
  package func recordValidated(
    _ ranges: [(partition: PartitionID, range: ValidatedRange)], lease: Lease
  ) throws(JournalError) {
    guard !ranges.isEmpty else { return }
    try write(lease) { db in
      let statement = try db.cachedStatement(
        sql: """
          INSERT INTO validated (partition, source_start, source_end, records, digest, time)
          VALUES (?, ?, ?, ?, ?, ?)
          ON CONFLICT DO UPDATE SET
            records = excluded.records, digest = excluded.digest, time = excluded.time
          """)
      for (partition, range) in ranges {
        try statement.execute(
          arguments: [
            partition.rawValue, range.sourceRange.lowerBound.rawValue,
            range.sourceRange.upperBound.rawValue, range.records, range.digest.data,
            range.time.milliseconds,
          ])
      }
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
      guard let next = Self.reach(end, range) else { break }
      end = next
    }
    return end
  }

  /// As ``validatedUpTo(_:)`` of all partitions of which something is validated, in one go.
  package func validatedUpTo() throws(JournalError) -> [PartitionID: Offset] {
    try read { db in
      let rows = try Row.fetchCursor(
        db,
        sql: """
          SELECT partition, source_start, source_end FROM validated
          ORDER BY partition, source_start, source_end
          """)
      var ends: [PartitionID: Offset] = [:]
      while let row = try rows.next() {
        let id = PartitionID(rawValue: row["partition"])
        let range = Offset(row["source_start"] as Int64)..<Offset(row["source_end"] as Int64)
        // A range behind a gap is followed only by others behind it.
        if let next = Self.reach(ends[id], range) { ends[id] = next }
      }
      return ends
    }
  }

  /// How far a range leads on from `end`; `nil` where there is a gap before it.
  private static func reach(_ end: Offset?, _ range: Range<Offset>) -> Offset? {
    guard let end else { return range.upperBound }
    return range.lowerBound > end ? nil : max(end, range.upperBound)
  }
}
