import KafkaModel

/// What a token tells of one segment: the gaps before it on both logs, and its count.
struct SegmentToken: Equatable {
  var sourceGap: Int64
  var targetGap: Int64
  var count: Int64

  /// What stands before a block's second segment.
  static func initial(count: Int64) -> SegmentToken {
    SegmentToken(sourceGap: 1, targetGap: 0, count: count)
  }

  /// The side that had the last hole, where a small gap is looked for first.
  var holeSide: ClusterRole { targetGap == 0 ? .source : .target }
}

/// The first bytes of tokens; see ``OffsetMapCodec``.
enum TokenByte {
  static let repeated: UInt8 = 0b1000_0000
  static let sameGaps: UInt8 = 0b1100_0000
  static let sameGapsLongCount: UInt8 = 0b1110_0000
  static let full: UInt8 = 0b1110_0001
  static let maximumRepeats = 64
}

struct SegmentEncoder {
  private var last: OffsetSegment
  private var token: SegmentToken
  private var repeats = 0

  init(first: OffsetSegment) {
    last = first
    token = .initial(count: first.count)
  }

  mutating func add(_ segment: OffsetSegment, to body: inout BlockWriter) {
    let next = SegmentToken(
      sourceGap: segment.sourceStart - last.sourceEnd,
      targetGap: segment.targetStart - last.targetEnd, count: segment.count)
    if next == token {
      repeats += 1
      if repeats == TokenByte.maximumRepeats { finish(&body) }
    } else {
      finish(&body)
      write(next, to: &body)
      token = next
    }
    last = segment
  }

  /// Writes the repeats that are still counted.
  mutating func finish(_ body: inout BlockWriter) {
    guard repeats > 0 else { return }
    body.write(byte: TokenByte.repeated | UInt8(repeats - 1))
    repeats = 0
  }

  private func write(_ next: SegmentToken, to body: inout BlockWriter) {
    let onSource = token.holeSide == .source
    let gap = onSource ? next.sourceGap : next.targetGap
    let otherGap = onSource ? next.targetGap : next.sourceGap
    if otherGap == 0, (1...8).contains(gap), next.count <= 16 {
      body.write(byte: UInt8(gap - 1) << 4 | UInt8(next.count - 1))
    } else if next.sourceGap == token.sourceGap, next.targetGap == token.targetGap {
      if next.count <= 1 << 13 {
        body.write(byte: TokenByte.sameGaps | UInt8((next.count - 1) >> 8))
        body.write(byte: UInt8((next.count - 1) & 0xff))
      } else {
        body.write(byte: TokenByte.sameGapsLongCount)
        body.write(next.count)
      }
    } else {
      body.write(byte: TokenByte.full)
      body.write(next.sourceGap)
      body.write(next.targetGap)
      body.write(next.count)
    }
  }
}
