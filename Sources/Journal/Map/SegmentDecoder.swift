import KafkaModel

/// Reads a block's body; see ``OffsetMapCodec``.
struct SegmentDecoder {
  private typealias Damaged = OffsetMapCodec.Damaged

  private let total: Int64
  private let sourceEnd: Int64
  private let targetEnd: Int64
  private var token: SegmentToken
  private var source: Int64
  private var target: Int64
  private var segments: [OffsetSegment] = []

  /// Reads the numbers that a body begins with.
  init(_ reader: inout BlockReader) throws(OffsetMapCodec.Damaged) {
    total = try reader.number()
    source = try reader.number()
    target = try reader.number()
    token = .initial(count: try reader.number())
    sourceEnd = try reader.number()
    targetEnd = try reader.number()
    try append(sourceGap: 0, targetGap: 0)
  }

  mutating func decode(
    _ reader: inout BlockReader
  ) throws(OffsetMapCodec.Damaged) -> [OffsetSegment] {
    while !reader.isAtEnd {
      let byte = try reader.byte()
      let repeats = byte & 0b1100_0000 == TokenByte.repeated ? Int(byte & 0b11_1111) : 0
      if byte & 0b1100_0000 != TokenByte.repeated { token = try readToken(byte, &reader) }
      guard token.sourceGap > 0 || token.targetGap > 0 else {
        throw Damaged(reason: "a map block has two segments that are one")
      }
      for _ in 0...repeats { try append(sourceGap: token.sourceGap, targetGap: token.targetGap) }
    }
    guard segments.count == total, source == sourceEnd, target == targetEnd else {
      throw Damaged(reason: "a map block ends elsewhere than it says")
    }
    return segments
  }

  private func readToken(
    _ byte: UInt8, _ reader: inout BlockReader
  ) throws(OffsetMapCodec.Damaged) -> SegmentToken {
    var next = token
    switch byte {
    case 0..<TokenByte.repeated:
      let gap = Int64(byte >> 4) + 1
      let onSource = token.holeSide == .source
      next.sourceGap = onSource ? gap : 0
      next.targetGap = onSource ? 0 : gap
      next.count = Int64(byte & 0b1111) + 1
    case TokenByte.sameGaps..<TokenByte.sameGapsLongCount:
      next.count = (Int64(byte & 0b1_1111) << 8) + Int64(try reader.byte()) + 1
    case TokenByte.sameGapsLongCount:
      next.count = try reader.number()
    case TokenByte.full:
      next.sourceGap = try reader.number()
      next.targetGap = try reader.number()
      next.count = try reader.number()
    default:
      throw Damaged(reason: "a map block has an unknown token")
    }
    return next
  }

  /// Adds one segment with the token's count behind the given gaps.
  private mutating func append(
    sourceGap: Int64, targetGap: Int64
  ) throws(OffsetMapCodec.Damaged) {
    let (sourceStart, overflow1) = source.addingReportingOverflow(sourceGap)
    let (targetStart, overflow2) = target.addingReportingOverflow(targetGap)
    let (nextSource, overflow3) = sourceStart.addingReportingOverflow(token.count)
    let (nextTarget, overflow4) = targetStart.addingReportingOverflow(token.count)
    guard !overflow1, !overflow2, !overflow3, !overflow4, token.count > 0 else {
      throw Damaged(reason: "a map block has offsets beyond 63 bits, or an empty segment")
    }
    segments.append(
      OffsetSegment(
        sourceStart: Offset(sourceStart), targetStart: Offset(targetStart), count: token.count))
    (source, target) = (nextSource, nextTarget)
  }
}
