import Foundation

/// Writes bytes and LEB128 numbers.
struct BlockWriter {
  private(set) var bytes = Data()

  mutating func write(byte: UInt8) { bytes.append(byte) }

  /// Seven bits a byte, lowest first; the top bit says that more follow.
  mutating func write(_ number: Int64) {
    var rest = UInt64(bitPattern: number)
    while rest > 0x7f {
      bytes.append(UInt8(rest & 0x7f) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }
}

/// Reads what ``BlockWriter`` wrote. Whatever the bytes are, it throws rather than traps.
struct BlockReader {
  private let bytes: [UInt8]
  private var index = 0

  init(_ bytes: Data) { self.bytes = Array(bytes) }

  var isAtEnd: Bool { index == bytes.count }

  mutating func byte() throws(OffsetMapCodec.Damaged) -> UInt8 {
    guard index < bytes.count else {
      throw OffsetMapCodec.Damaged(reason: "a map block ends too early")
    }
    defer { index += 1 }
    return bytes[index]
  }

  /// A number that is not negative.
  mutating func number() throws(OffsetMapCodec.Damaged) -> Int64 {
    var number: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 63, by: 7) {
      let byte = try byte()
      number |= UInt64(byte & 0x7f) << shift
      if byte & 0x80 == 0 { return Int64(number) }
    }
    throw OffsetMapCodec.Damaged(reason: "a map block has a number beyond 63 bits")
  }
}
