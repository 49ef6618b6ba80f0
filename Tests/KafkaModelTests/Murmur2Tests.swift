import KafkaModel
import Testing

@Suite("Where Java's producer puts a key")
struct Murmur2Tests {
  /// Of `UtilsTest.testMurmur2` of Apache Kafka's clients.
  @Test(
    "The hash is that of Java's client",
    arguments: [
      ("21", -973_932_308), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536),
      ("a-little-bit-longer-string", -1_486_304_829),
      ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971), ("abc", 479_470_107),
    ] as [(String, Int32)])
  func known(key: String, hash: Int32) {
    #expect(Murmur2.hash(Array(key.utf8)) == hash)
  }

  @Test("Negative hashes lose their sign, and no key keeps the partition's number")
  func partitions() {
    #expect(Murmur2.partition(of: Array("21".utf8), from: 0, count: 7) == 1_173_551_340 % 7)
    #expect(Murmur2.partition(of: nil, from: 2, count: 5) == 2)
    #expect(Murmur2.partition(of: nil, from: 4, count: 3) == 1)
    #expect((0..<5).contains(Murmur2.partition(of: [], from: 0, count: 5)))
  }
}
