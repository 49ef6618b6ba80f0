/// A record's header. Names may repeat and their order matters.
package struct RecordHeader: Hashable, Sendable, Codable {
  package var name: String
  /// `nil` is null, which differs from empty.
  package var value: [UInt8]?

  package init(_ name: String, _ value: [UInt8]?) {
    self.name = name
    self.value = value
  }
}

/// Everything in a record that a client can see, apart from where it stands.
package struct Record: Hashable, Sendable {
  package enum TimestampType: String, Hashable, Sendable, Codable {
    case createTime
    case logAppendTime
  }

  /// `nil` is null, which differs from empty.
  package var key: [UInt8]?
  /// `nil` is null: a tombstone.
  package var value: [UInt8]?
  package var headers: [RecordHeader]
  /// Milliseconds since 1970-01-01 UTC.
  package var timestamp: Int64
  package var timestampType: TimestampType

  package init(
    key: [UInt8]?, value: [UInt8]?, headers: [RecordHeader] = [], timestamp: Int64,
    timestampType: TimestampType = .createTime
  ) {
    self.key = key
    self.value = value
    self.headers = headers
    self.timestamp = timestamp
    self.timestampType = timestampType
  }
}
