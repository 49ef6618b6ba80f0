import Kafka
import KafkaModel
import TestSupport
import Testing

/// Where librdkafka's `partitioner=murmur2_random` puts records, of which `order: rekey` says that it puts them
/// where Java's producer does.
///
/// Both hash every key that is not null, an empty one too (`rd_kafka_msg_partitioner_murmur2_random` in
/// `rdkafka_msg.c` of librdkafka 2.0.2; `KafkaProducer.partition` of Apache Kafka's clients 3.9). Only librdkafka's
/// `consistent_random` takes an empty key for none. Records without a key go to any partition, with both, and
/// stay together for a while ("sticky"): no hash says where.
@Suite("librdkafka's murmur2 partitioner", .serialized)
struct PartitionerTests {
  @Test("Each key stands where its hash says, whatever bytes it has", arguments: [1, 2, 7, 12])
  func keys(partitions: Int32) async throws {
    let sandbox = try await Sandbox.shared.value
    let topic = try await sandbox.topic(on: .source, partitions: partitions)
    var random = RecordGenerator(seed: UInt64(partitions))
    var keys: [[UInt8]?] = [[], [0], [0x80], [0xFF], nil, Array(repeating: 0xFF, count: 50_000)]
    for length in 1...40 {
      keys.append(Array(repeating: 0x80, count: length))
      keys.append((0..<length).map { _ in .random(in: 0x80...0xFF, using: &random) })
    }
    for _ in 0..<2000 {
      let length = Int.random(in: 0...Int.random(in: 1...300, using: &random), using: &random)
      keys.append((0..<length).map { _ in .random(in: .min ... .max, using: &random) })
    }
    let connection = await sandbox.connection(.source)
    let writer = try RecordWriter(connection, properties: ["partitioner": "murmur2_random"])
    // No partition: the producer chooses (`RD_KAFKA_PARTITION_UA`, rdkafka.h).
    try await writer.write(
      keys.enumerated().map {
        Record(key: $1, value: [], timestamp: 1_700_000_000_000 + Int64($0))
      },
      to: TopicPartition(topic, -1), patience: .seconds(60))
    let reader = try PartitionReader(connection)
    var seen = 0
    for number in 0..<partitions {
      let records = try await reader.records(of: TopicPartition(topic, number), from: Offset(0))
      for (_, record) in records {
        seen += 1
        #expect(record.key == keys[Int(record.timestamp - 1_700_000_000_000)])
        guard let key = record.key else { continue }
        #expect(
          Murmur2.partition(of: key, from: 99, count: partitions) == number,
          "a key of \(key.count) bytes")
      }
    }
    #expect(seen == keys.count)
  }
}
