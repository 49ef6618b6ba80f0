import Foundation
import GRDB
import KafkaModel

extension PartitionRow {
  static let selection = """
    SELECT partition.*, map_block.source_end, map_block.target_end
    FROM partition LEFT JOIN map_block ON map_block.partition = partition.id
      AND map_block.number = (SELECT max(number) FROM map_block WHERE partition = partition.id)
    """

  init(_ row: Row) {
    let sourceEnd: Int64? = row["source_end"]
    let targetEnd: Int64? = row["target_end"]
    self.init(
      id: PartitionID(rawValue: row["id"]),
      source: TopicPartition(row["source_topic"], row["source_partition"]),
      target: TopicPartition(row["target_topic"], row["target_partition"]),
      sourceEnd: sourceEnd.map { Offset($0) }, targetEnd: targetEnd.map { Offset($0) },
      lastDigest: (row["last_digest"] as Data?).map { RecordDigest($0) },
      positions: Direction.allCases.reduce(into: [:]) { positions, direction in
        let position: Int64? = row[direction.positionColumn]
        positions[direction] = position.map { Offset($0) }
      })
  }
}

extension Direction {
  var positionColumn: String { "\(rawValue)_position" }
}

extension RecordDigest {
  /// 16 bytes, the high half first, big-endian.
  var data: Data {
    Data(
      [high, low].flatMap { half in (0..<8).map { UInt8(truncatingIfNeeded: half >> (56 - 8 * $0)) }
      })
  }

  init(_ data: Data) {
    let number = { (bytes: Data) in bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) } }
    self.init(low: number(data.suffix(8)), high: number(data.prefix(8)))
  }
}
