import Foundation
import KafkaModel

/// Packs offsets by partition: each a LEB128 number.
enum OffsetVector {
  static func encode(_ offsets: [Offset]) -> Data {
    var bytes = Data()
    for offset in offsets {
      var left = UInt64(bitPattern: offset.rawValue)
      while left >= 0x80 {
        bytes.append(UInt8(left & 0x7f) | 0x80)
        left >>= 7
      }
      bytes.append(UInt8(left))
    }
    return bytes
  }

  /// Throws: ``JournalError/invalid(reason:)`` - the bytes end within a number, or one is too large.
  static func decode(_ bytes: Data) throws -> [Offset] {
    var offsets: [Offset] = []
    var value: UInt64 = 0
    var shift: UInt64 = 0
    for byte in bytes {
      guard shift < 63 else { throw JournalError.invalid(reason: "a cut's offset is too large") }
      value |= UInt64(byte & 0x7f) << shift
      shift += 7
      guard byte & 0x80 == 0 else { continue }
      offsets.append(Offset(Int64(bitPattern: value)))
      (value, shift) = (0, 0)
    }
    guard shift == 0 else { throw JournalError.invalid(reason: "a cut ends within an offset") }
    return offsets
  }
}
