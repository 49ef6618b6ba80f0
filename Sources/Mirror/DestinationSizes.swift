package import Kafka
internal import KafkaModel

/// How large a batch and a record the destination's topics take: `max.message.bytes`, and `segment.bytes`
/// where it is less, since a batch does not span segments (`UnifiedLog.append` of Apache Kafka 3.9).
package struct DestinationSizes: Hashable, Sendable {
  /// The smallest limit of a topic, in bytes: no batch of several records may exceed it, or the broker
  /// refuses all of them.
  private(set) var batchBytes = 1_000_000
  /// The largest limit of a topic, in bytes.
  private(set) var recordBytes = 1_000_000

  package init() {}

  mutating func add(topicLimit: Int) {
    batchBytes = min(batchBytes, topicLimit)
    recordBytes = max(recordBytes, topicLimit)
  }

  /// librdkafka's bounds (`CONFIGURATION.md`): `batch.size` ends a batch of several records,
  /// `message.max.bytes` refuses a record before it is sent. The latter counts uncompressed bytes, the
  /// broker compressed ones, so it leaves room.
  package var producerProperties: [String: String] {
    [
      "batch.size": String(max(1, batchBytes)),
      "message.max.bytes": String(min(1_000_000_000, recordBytes * 10)),
    ]
  }
}

extension DestinationSizes {
  /// The limits of topics. One whose configs may not be read counts as one with Kafka's default.
  ///
  /// - Parameter admin: of the cluster that they are on.
  /// Throws: ``KafkaError`` - the cluster does not answer, or does not know the topic.
  package init(of topics: Set<String>, _ admin: Admin) async throws {
    self.init()
    do {
      for configs in try await admin.configs(of: topics.sorted()).values {
        if let limit = Self.limit(configs) { add(topicLimit: limit) }
      }
      return
    } catch {
      if error.isRetriable { throw error }
    }
    // At least one may not be described: the others may.
    for topic in topics {
      if let limit = try await Self.limit(of: topic, admin) { add(topicLimit: limit) }
    }
  }

  private static func limit(of topic: String, _ admin: Admin) async throws -> Int? {
    do {
      return limit(try await admin.configs(of: topic))
    } catch {
      if error.isRetriable || error.isUnknownTopic { throw error }
      return nil
    }
  }

  private static func limit(_ configs: [String: ConfigValue]) -> Int? {
    ["max.message.bytes", "segment.bytes"].compactMap { configs[$0]?.value.flatMap { Int($0) } }
      .min()
  }
}
