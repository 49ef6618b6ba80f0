package import KafkaModel

/// Why one partition's mirror stopped for good. Others go on.
package enum MirrorFault: Error, Hashable, Sendable, Codable {
  /// Somebody else wrote to the destination: at `at` stands a record that this mirror did not write.
  case foreignWrite(destination: TopicPartition, at: Offset)
  /// The origin dropped records before they were mirrored: those in `from ..< to` are lost to the mirror.
  case retentionGap(origin: TopicPartition, from: Offset, to: Offset)
  /// The origin's log ends before what was mirrored from it, or holds another record there: it was
  /// truncated, or deleted and created again.
  case originChanged(origin: TopicPartition, at: Offset)
  /// The destination lost records that cannot be copied again from the origin.
  case destinationTruncated(destination: TopicPartition, end: Offset, expected: Offset)
  /// The destination refused a record for good.
  case refused(origin: TopicPartition, at: Offset, reason: String)
  /// The origin partition cannot be read.
  case unreadable(origin: TopicPartition, reason: String)
}

extension MirrorFault: OperatorError {
  package var summary: String {
    switch self {
    case .foreignWrite(let destination, let at):
      "\(destination) holds a record at offset \(at) that Ferry did not write; its mirror stopped"
    case .retentionGap(let origin, let from, let to):
      "\(origin) lost the records at offsets \(from) to \(to - 1) before they were mirrored (retention or deletion); its mirror stopped"
    case .originChanged(let origin, let at):
      "\(origin) no longer holds the record that was mirrored last, at offset \(at) (truncated, or deleted and created again); its mirror stopped"
    case .destinationTruncated(let destination, let end, let expected):
      "\(destination) ends at offset \(end), but records up to \(expected - 1) were stored there; its mirror stopped"
    case .refused(let origin, let at, let reason):
      "the record of \(origin) at offset \(at) cannot be stored on the other side: \(reason); its mirror stopped"
    case .unreadable(let origin, let reason):
      "\(origin) cannot be read: \(reason); its mirror stopped"
    }
  }

  package var hint: String {
    switch self {
    case .foreignWrite: "find the writer, stop it, and mirror this topic into an empty one"
    case .retentionGap:
      "raise the topic's retention, and mirror it anew into an empty target topic, with `onGap: accept` if such records are expendable"
    case .originChanged: "find out who changed the topic; mirror it anew into an empty target topic"
    case .destinationTruncated: "find out what the destination lost before going on"
    case .refused: "raise the limit on the destination topic, then `ferry run` again"
    case .unreadable: "mend what the reason says, then `ferry run` again"
    }
  }

  package var runbook: String? { "mirror-stopped.md" }
}

private func - (offset: Offset, count: Int64) -> Offset { Offset(offset.rawValue - count) }
