import Mirror
import TestSupport
import Testing

@Suite("Turns of what a budget holds back")
struct TurnsTests {
  @Test("Each line's items keep their order, and none is lost or taken twice")
  func order() {
    var random = RecordGenerator(seed: 1)
    var turns = Turns<(line: Int, number: Int)>()
    var written = [0, 0, 0, 0]
    var taken = written
    for _ in 0..<3000 {
      for _ in 0..<Int.random(in: 0...6, using: &random) {
        let line = Int.random(in: 0..<4, using: &random)
        turns.append(
          (line, written[line]), bytes: .random(in: 0...3000, using: &random), to: line)
        written[line] += 1
      }
      turns.take(bytes: .random(in: 1...9000, using: &random)) { item in
        #expect(item.number == taken[item.line])
        taken[item.line] += 1
      }
      #expect(turns.count == zip(written, taken).reduce(0) { $0 + $1.0 - $1.1 })
    }
    turns.take(bytes: .max) { taken[$0.line] += 1 }
    #expect(taken == written)
    #expect(turns.count == 0 && turns.bytes == 0 && turns.lineCount == 0)
  }

  @Test(
    "Lines get as many bytes, whatever the size of their items and of what is taken at once",
    arguments: [1, 700, 5000, 1 << 20])
  func shares(portion: Int) {
    let sizes = [100, 5000, 700, 20]
    var turns = Turns<Int>()
    for (line, size) in sizes.enumerated() {
      for _ in 0..<(2_000_000 / size) { turns.append(line, bytes: size, to: line) }
    }
    var taken = sizes.map { _ in 0 }
    while taken.reduce(0, +) < 4_000_000 {
      let before = taken.reduce(0, +)
      turns.take(bytes: portion) { taken[$0] += sizes[$0] }
      // As much as was asked for, and at most one item more.
      #expect((portion..<(portion + 5000)).contains(taken.reduce(0, +) - before))
    }
    let mean = Double(taken.reduce(0, +)) / 4
    for bytes in taken { #expect(abs(Double(bytes) / mean - 1) < 0.02, "\(taken)") }
  }

  @Test("A line that runs dry leaves its turn to the others")
  func dry() {
    var turns = Turns<Int>()
    turns.append(0, bytes: 10, to: 0)
    for _ in 0..<100 { turns.append(1, bytes: 100, to: 1) }
    var taken = 0
    turns.take(bytes: 1000) { _ in taken += 1 }
    #expect(taken == 11)
    turns.removeAll()
    turns.take(bytes: 1000) { _ in taken += 1 }
    #expect(taken == 11)
  }
}
