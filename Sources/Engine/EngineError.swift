package import KafkaModel
package import Mirror
package import Validation

/// Why a migration, or one of its steps, cannot go on.
package enum EngineError: Error, Hashable, Sendable {
  case noTopics(stage: String)
  case topicDrift(topic: String, what: String)
  case targetNotEmpty(TopicPartition, end: Offset)
  case logAppendTime(topic: String)
  case cannotRekey(topic: String, place: String, why: String)
  case planChanged(journalled: String, now: String)
  case digestDiffers(wanted: String, now: String)
  case partitionStopped(MirrorFault)
  case fenceDoesNotHold(cluster: String, moving: [String])
  case fencesFerry(cluster: String)
  case fenceLocksOut(topics: [String], cluster: String)
  case openTransaction(TopicPartition, stableEnd: Offset, end: Offset)
  case drainTooSlow(within: Duration, left: [String])
  case gatesClosed([String])
  case differences([Verdict])
  case strayWrite(TopicPartition, from: Offset, to: Offset)
  case canaryLost(topic: String)
  case hookFailed(hook: String, reason: String, output: String)
  case groupNotVerified(group: String, lag: Int64, limit: Int64)
  case trigger(String)
  case unknownStage(String, known: [String])
  case rolledBack(stage: String, reason: String)
  case stageStopped(stage: String, step: String, reason: String)
  case commandRefused(String)
  case notSupported(String)
}

extension EngineError: OperatorError {
  package var summary: String {
    switch self {
    case .noTopics(let stage): "no topic on the source cluster matches stage \(stage)"
    case .topicDrift(let topic, let what): "topic \(topic) is not as planned: \(what)"
    case .targetNotEmpty(let partition, let end):
      "target partition \(partition) is not empty: its log ends at offset \(end), and Ferry did not write it"
    case .logAppendTime(let topic):
      "source topic \(topic) stamps records with LogAppendTime, which a copy cannot keep"
    case .cannotRekey(let topic, let place, let why):
      "\(place): topic \(topic) cannot be rekeyed: \(why)"
    case .planChanged(let journalled, let now):
      "the plan was changed after the run began: the journal has \(journalled), the file is \(now)"
    case .digestDiffers(let wanted, let now):
      "the plan is not the one that was reviewed: --digest says \(wanted), the file is \(now)"
    case .partitionStopped(let fault): fault.summary
    case .fenceDoesNotHold(let cluster, let moving):
      "the fence on the \(cluster) cluster does not hold: \(moving.joined(separator: "; "))"
    case .fencesFerry(let cluster):
      "the fence's ACLs would keep Ferry's own mirror from writing to the \(cluster) cluster, so it was not put up"
    case .fenceLocksOut(let topics, let cluster):
      "no ACL that the \(cluster) cluster shows applies to \(topics.joined(separator: ", ")): the fence's denial would be the first, and lock out everyone else as well; or it has no authorizer, or does not let Ferry describe ACLs"
    case .openTransaction(let partition, let stableEnd, let end):
      "\(partition) has an open transaction: readers reach offset \(stableEnd), the log ends at \(end)"
    case .drainTooSlow(let within, let left):
      "the mirror did not drain within \(within): \(left.joined(separator: "; "))"
    case .gatesClosed(let gates):
      "gates closed while no engine ran: \(gates.joined(separator: "; "))"
    case .differences(let verdicts): Self.describe(verdicts)
    case .strayWrite(let partition, let from, let to):
      "somebody wrote to \(partition) behind the fence: its end went from \(from) to \(to)"
    case .canaryLost(let topic): "the canary on topic \(topic) did not come round in time"
    case .hookFailed(let hook, let reason, let output):
      "hook \(hook) failed: \(reason)" + (output.isEmpty ? "" : "; it printed: \(output)")
    case .groupNotVerified(let group, let lag, let limit):
      "group \(group) did not get its lag on the target below \(limit) in time: it is \(lag)"
    case .trigger(let what): "a rollback trigger of the plan fired: \(what)"
    case .unknownStage(let stage, let known):
      "the plan has no stage \(stage), only \(known.joined(separator: ", "))"
    case .rolledBack(let stage, let reason): "stage \(stage) was rolled back: \(reason)"
    case .stageStopped(let stage, let step, let reason):
      "stage \(stage) stopped at step \(step): \(reason)"
    case .commandRefused(let reason): reason
    case .notSupported(let what): "not supported: \(what)"
    }
  }

  private static func describe(_ verdicts: [Verdict]) -> String {
    let count = verdicts.reduce(0) { $0 + $1.differenceCount }
    let first = verdicts.prefix(5).map { verdict in
      "\(verdict.source): \(verdict.differences.prefix(3).map(\.description).joined(separator: ", "))"
    }
    return "source and target differ in \(count) records: \(first.joined(separator: "; "))"
  }

  package var hint: String {
    switch self {
    case .noTopics: "check the stage's `topics:` against `ferry dry-run`"
    case .topicDrift: "change the topic or the plan so that they agree, then run again"
    case .targetNotEmpty: "give the topic another target name with `rename:`, or empty it yourself"
    case .logAppendTime: "set `config: { message.timestamp.type: CreateTime }` for it in the plan"
    case .cannotRekey:
      "take `order: rekey` out of the topic's rule, or change what stands against it"
    case .planChanged: "restore the reviewed plan, or start a new migration under another name"
    case .digestDiffers: "run the reviewed file, or have this one reviewed"
    case .partitionStopped(let fault): fault.hint
    case .fenceDoesNotHold:
      "stop the writers and mend the fence; a stage that went back is tried again with `ferry run --again`"
    case .fencesFerry:
      "take Ferry's own principal out of `principals`, or make it a super user; then `ferry run --again`"
    case .fenceLocksOut: "allow those who use the topics, by ACLs of your own, then try again"
    case .openTransaction: "end or abort the transaction at its producer, then try again"
    case .gatesClosed: "look at the gates, then `ferry run --again`"
    case .drainTooSlow:
      "wait until the mirror's lag is small, then try again"
    case .differences: "look at the records with `ferry validate`; do not cut over"
    case .strayWrite: "find the writer and stop it, then try again"
    case .canaryLost: "look at the reverse mirror in `ferry status`, then try again"
    case .hookFailed: "run the hook by hand with the same environment, mend it, then try again"
    case .groupNotVerified: "look at the group's clients on the target"
    case .trigger: "look at the groups on both clusters before trying again"
    case .unknownStage: "name one of these"
    case .rolledBack: "find the cause, then `ferry run --again` tries the stage anew"
    case .stageStopped: "mend what the reason says, then `ferry run` tries the step again"
    case .commandRefused: "look at the stage with `ferry status`"
    case .notSupported: "change the plan"
    }
  }

  package var runbook: String? {
    switch self {
    case .noTopics, .unknownStage, .commandRefused, .notSupported: nil
    case .topicDrift, .targetNotEmpty, .logAppendTime, .planChanged, .digestDiffers: "drift.md"
    case .cannotRekey: "rekeyed-topics.md"
    case .partitionStopped: "mirror-stopped.md"
    case .fenceDoesNotHold, .fencesFerry, .fenceLocksOut, .strayWrite: "fence-does-not-hold.md"
    case .openTransaction, .drainTooSlow: "drain-stalls.md"
    case .differences: "validation-difference.md"
    case .canaryLost: "mirror-stopped.md"
    case .hookFailed: "hook-failed.md"
    case .groupNotVerified, .trigger, .rolledBack, .gatesClosed: "rollback.md"
    case .stageStopped: "states.md"
    }
  }

  /// The clusters or the plan are not what was reviewed.
  package var isDrift: Bool {
    switch self {
    case .topicDrift, .targetNotEmpty, .planChanged, .digestDiffers: true
    default: false
    }
  }
}
