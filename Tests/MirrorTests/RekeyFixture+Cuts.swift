import Kafka
import KafkaModel
import Mirror
import TestSupport
import Testing

extension RekeyFixture {
  /// A readable record of a side.
  private struct Place: Hashable {
    let partition: Int
    let offset: Offset
    let record: Record
  }

  private func places(_ role: ClusterRole) async throws -> [Place] {
    let reader = try PartitionReader(connections[role]!)
    var places: [Place] = []
    for (index, name) in topic.partitions(on: role).enumerated() {
      for (offset, record) in try await reader.records(of: name, from: Offset(0)) {
        places.append(Place(partition: index, offset: offset, record: record))
      }
    }
    return places
  }

  /// The records that a side holds, in the order of its partitions.
  func records(_ role: ClusterRole) async throws -> [Record] {
    try await places(role).map(\.record)
  }

  /// Before each cut stand the same records on both sides, of which no two are equal, and within a partition
  /// of the destination those of a round are in the origin's order.
  func expectCutsExact(_ direction: Direction = .forward) async throws {
    var sides: [ClusterRole: [Place]] = [:]
    for role in ClusterRole.allCases {
      sides[role] = try await places(role)
      #expect(Set(sides[role]!.map(\.record)).count == sides[role]!.count, "on the \(role)")
    }
    let cuts = await store.cuts
    for cut in cuts {
      func before(_ role: ClusterRole) -> Set<Record> {
        Set(sides[role]!.filter { $0.offset < cut.ends(on: role)[$0.partition] }.map(\.record))
      }
      #expect(before(.source) == before(.target), "cut \(cut.number)")
    }
    for (start, end) in zip(cuts, cuts.dropFirst()) {
      func round(_ role: ClusterRole) -> [Place] {
        sides[role]!.filter {
          $0.offset >= start.ends(on: role)[$0.partition]
            && $0.offset < end.ends(on: role)[$0.partition]
        }
      }
      let count = topic.count(on: direction.destination)
      let wanted = round(direction.origin)
      let found = round(direction.destination)
      #expect(end.records == Int64(found.count))
      for number in 0..<count {
        #expect(
          found.filter { $0.partition == number }.map(\.record)
            == wanted.filter {
              Int(
                Murmur2.partition(
                  of: $0.record.key, from: Int32($0.partition), count: Int32(count))) == number
            }.map(\.record), "partition \(number) of cut \(end.number)")
      }
    }
  }
}
