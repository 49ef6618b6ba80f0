import Crypto
import Foundation
import KafkaModel

/// Packs a run of segments into a block of bytes.
///
/// A block is: the format (1 byte); the first 8 bytes of the SHA-256 of all that follows; and then, as
/// LEB128 numbers, how many segments there are, where the first starts on the source and on the target,
/// its count, and where the last one ends on the source and on the target. Behind that stands one
/// *token* for each further segment, or for several. A token tells the gap before the segment on both
/// logs and its count:
///
/// | first byte | meaning |
/// | --- | --- |
/// | `0gggcccc` | gap `ggg` + 1 on the side that had the last hole, none on the other; count `cccc` + 1 |
/// | `10rrrrrr` | `rrrrrr` + 1 segments, each with the gaps and the count of the one before |
/// | `110ccccc` | the same gaps; count - 1 is `ccccc` and, below it, the next byte |
/// | `11100000` | the same gaps; count as LEB128 |
/// | `11100001` | source gap, target gap and count as LEB128 |
///
/// Before the second segment the last gaps are taken as 1 on the source and 0 on the target, which is
/// what a transaction marker leaves: transactions of up to 16 records cost one byte each, or less.
enum OffsetMapCodec {
  /// More segments make a block cheaper to keep, and dearer to write again with each checkpoint.
  static let maximumSegments = 1024

  static let format: UInt8 = 1
  static let checksumBytes = 8

  /// The bytes are no block that ``encode(_:)`` made.
  struct Damaged: Error, Equatable {
    let reason: String
  }

  /// Packs `segments`: at least one, ascending on both sides, counts above 0, no two neighbours that
  /// could be one, offsets not negative.
  static func encode(_ segments: [OffsetSegment]) -> Data {
    guard let first = segments.first, let last = segments.last else { return Data() }
    var body = BlockWriter()
    for number in [
      Int64(segments.count), first.sourceStart.rawValue, first.targetStart.rawValue, first.count,
      last.sourceEnd.rawValue, last.targetEnd.rawValue,
    ] { body.write(number) }
    var encoder = SegmentEncoder(first: first)
    for segment in segments.dropFirst() { encoder.add(segment, to: &body) }
    encoder.finish(&body)
    return [format] + checksum(body.bytes) + body.bytes
  }

  /// Unpacks a block.
  ///
  /// Throws: ``Damaged`` - any byte differs from what was written, or the block makes no sense.
  static func decode(_ block: Data) throws(Damaged) -> [OffsetSegment] {
    let start = block.startIndex + 1 + checksumBytes
    guard block.count > 1 + checksumBytes else { throw Damaged(reason: "a map block is cut off") }
    guard block.first == format else { throw Damaged(reason: "a map block has a foreign format") }
    let body = Data(block[start...])
    guard checksum(body) == block[(block.startIndex + 1)..<start] else {
      throw Damaged(reason: "a map block's checksum does not fit")
    }
    var reader = BlockReader(body)
    var decoder = try SegmentDecoder(&reader)
    return try decoder.decode(&reader)
  }

  private static func checksum(_ body: Data) -> Data {
    Data(SHA256.hash(data: body).prefix(checksumBytes))
  }
}
