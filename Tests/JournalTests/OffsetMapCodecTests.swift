import Foundation
import KafkaModel
import Testing

@testable import Journal

@Suite struct `The offset map codec` {
  @Test(arguments: 0..<300 as Range<UInt64>)
  func `What was packed comes back`(_ seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let segments = random.segments(
      .random(in: 1...OffsetMapCodec.maximumSegments, using: &random))
    #expect(try OffsetMapCodec.decode(OffsetMapCodec.encode(segments)) == segments)
  }

  @Test func `The largest offsets come back`() throws {
    let segments = [
      segment(0, 0, 1), segment(1 << 40, 1, 1 << 14), segment(Int64.max - 5, Int64.max - 9, 5),
    ]
    #expect(try OffsetMapCodec.decode(OffsetMapCodec.encode(segments)) == segments)
  }

  @Test func `Each kind of token comes back`() throws {
    for count in [1, 16, 17, 256, 257, 1 << 13, 1 << 13 + 1] as [Int64] {
      for gap in [1, 8, 9] as [Int64] {
        for step in [(gap, 0), (0, gap), (gap, gap)] {
          var segments = [segment(5, 3, 2)]
          for index in 0..<130 as Range<Int64> {
            let last = segments[segments.count - 1]
            segments.append(
              segment(
                last.sourceEnd.rawValue + step.0, last.targetEnd.rawValue + step.1,
                index % 70 == 69 ? 3 : count))
          }
          #expect(try OffsetMapCodec.decode(OffsetMapCodec.encode(segments)) == segments)
        }
      }
    }
  }

  @Test func `Transactions of ten records cost far less than two bytes a hole`() throws {
    #expect(bytesPerHole { _ in (1, 0, 10) } < 0.1)
    #expect(bytesPerHole { (1, 0, .random(in: 5...15, using: &$0)) } < 1.1)
    #expect(bytesPerHole { (0, 1, .random(in: 5...15, using: &$0)) } < 1.1)
    #expect(bytesPerHole { (1, 0, .random(in: 100...5000, using: &$0)) } < 2.1)
    #expect(
      bytesPerHole { (.random(in: 1...8, using: &$0), 0, .random(in: 1...16, using: &$0)) } < 1.1)
  }

  @Test(arguments: 0..<40 as Range<UInt64>)
  func `A flipped bit, a missing or an added byte is an error`(_ seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let block = OffsetMapCodec.encode(random.segments(.random(in: 1...40, using: &random)))
    for index in block.indices {
      var damaged = block
      damaged[index] ^= 1 << UInt8.random(in: 0...7, using: &random)
      #expect(throws: OffsetMapCodec.Damaged.self) { try OffsetMapCodec.decode(damaged) }
      #expect(throws: OffsetMapCodec.Damaged.self) {
        try OffsetMapCodec.decode(block.prefix(index))
      }
    }
    #expect(throws: OffsetMapCodec.Damaged.self) { try OffsetMapCodec.decode(block + [0]) }
  }

  @Test(arguments: 0..<2000 as Range<UInt64>)
  func `Random bytes behind a right checksum never trap`(_ seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var body = BlockWriter()
    for _ in 0..<6 {
      body.write(Int64.random(in: 0...(random.chance(20) ? .max : 50), using: &random))
    }
    let tokens = (0..<Int.random(in: 0...30, using: &random)).map { _ in
      UInt8.random(in: 0...255, using: &random)
    }
    for token in tokens { body.write(byte: token) }
    var reader = BlockReader(body.bytes)
    do {
      var decoder = try SegmentDecoder(&reader)
      _ = try decoder.decode(&reader)
    } catch {
      #expect(!error.reason.isEmpty)
    }
  }

  @Test func `A block keeps its form from release to release`() throws {
    let block = OffsetMapCodec.encode([
      segment(0, 0, 10), segment(11, 10, 10), segment(22, 20, 3), segment(30, 23, 400),
    ])
    #expect(block.hexadecimal == "012c72c99bebc4a0850400000aae03a7038002e105009003")
  }

  private func segment(_ source: Int64, _ target: Int64, _ count: Int64) -> OffsetSegment {
    OffsetSegment(sourceStart: Offset(source), targetStart: Offset(target), count: count)
  }

  /// The size of a full block a hole, header included; `step` gives source gap, target gap and count.
  private func bytesPerHole(_ step: (inout SeededGenerator) -> (Int64, Int64, Int64)) -> Double {
    var random = SeededGenerator(seed: 1)
    var segments = [segment(1_000_000, 900_000, 10)]
    while segments.count < OffsetMapCodec.maximumSegments {
      let last = segments[segments.count - 1]
      let (sourceGap, targetGap, count) = step(&random)
      segments.append(
        segment(last.sourceEnd.rawValue + sourceGap, last.targetEnd.rawValue + targetGap, count))
    }
    return Double(OffsetMapCodec.encode(segments).count) / Double(segments.count)
  }
}
