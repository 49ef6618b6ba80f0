import Foundation
import KafkaModel

extension JournalError: OperatorError {
  package var runbook: String? { "journal.md" }

  package var summary: String {
    switch self {
    case .missing(let path): "there is no journal at \(path)"
    case .unreadable(let path, let reason): "the journal \(path) cannot be read: \(reason)"
    case .newerVersion(let path, let found, let supported):
      "the journal \(path) has format \(found), but this ferry knows formats up to \(supported)"
    case .otherMigration(let path, let found, let asked):
      "the journal \(path) belongs to the migration \(found), not to \(asked)"
    case .held(let holder, let since, let until): Self.describeHeld(holder, since, until)
    case .fenced(.some(let holder)): "this engine's lease was taken over by \(holder)"
    case .fenced(.none): "this engine's lease was released"
    case .full(let path): "the disk of the journal \(path) is full"
    case .busy(let path): "other processes kept the journal \(path) locked"
    case .readOnly(let path): "the journal \(path) can only be read"
    case .storage(let path, let reason): "the journal \(path) could not be used: \(reason)"
    case .broken(let sequence, let what):
      "the journal's history is broken at event \(sequence): \(what)"
    case .invalid(let reason): "the journal refused a wrong request: \(reason)"
    case .pinned(let source, let pinned, let asked):
      "the partition \(source) is mirrored to \(pinned) and cannot be mirrored to \(asked)"
    case .targetTaken(let target, let source):
      "the target partition \(target) already receives the partition \(source)"
    case .factDiffers(let key, let stored, let asked):
      "the journal's \(key) is \(stored), but this run has \(asked)"
    case .unknownCommand(let id): "there is no command \(id)"
    case .alreadyAnswered(let id): "the command \(id) has been answered already"
    case .unknownEffect(let id): "there is no pending effect \(id)"
    }
  }

  package var hint: String {
    switch self {
    case .missing: "check the path, or start the migration with ferry run"
    case .unreadable:
      "nothing was changed; keep the file and put back a copy, or find out what wrote to it"
    case .newerVersion: "nothing was changed; use the ferry that wrote it, or a newer one"
    case .otherMigration: "give the journal of this migration, or the plan of that one"
    case .held(_, _, .some): "run again when the lease has run out, or stop that engine first"
    case .held: "let that engine work, or stop it; operator commands reach it through the journal"
    case .fenced: "stop this engine; the one that took over goes on where it stopped"
    case .full: "nothing that was recorded is lost; free space and run again"
    case .busy: "find the process that keeps it open, end it and run again"
    case .readOnly: "run as the user who owns the file, in a folder where that user may write"
    case .storage: "nothing that was recorded is lost; put the cause right and run again"
    case .broken: "do not run this migration; keep the file and compare ferry journal verify"
    case .invalid, .unknownEffect: "this is a bug in ferry; keep the journal and report it"
    case .pinned, .targetTaken: "give the topic the target that it had when mirroring began"
    case .factDiffers: "run with what the journal records, or begin a new migration"
    case .unknownCommand, .alreadyAnswered: "look at the commands with ferry status"
    }
  }

  private static func describeHeld(
    _ holder: LeaseHolder?, _ since: Date?, _ until: Date?
  ) -> String {
    var text = "another engine runs this migration"
    if let holder { text += ": \(holder)" }
    if let since { text += ", since \(since.formatted(.iso8601))" }
    if let until { text += "; its lease runs out at \(until.formatted(.iso8601))" }
    return text
  }
}
