package import Foundation
package import KafkaModel

/// Why the journal could not do what was asked.
package enum JournalError: Error, Equatable, Sendable {
  /// There is no file at `path`, and the mode did not allow creating one.
  case missing(path: String)
  /// The file at `path` is no journal, or is damaged. It was left as it is.
  case unreadable(path: String, reason: String)
  /// A newer Ferry wrote the journal. It was left as it is.
  case newerVersion(path: String, found: Int64, supported: Int64)
  /// The journal belongs to another migration.
  case otherMigration(path: String, found: String, asked: String)
  /// Another engine has the lease. `holder` and `since` are `nil` while it is still taking it; `until`
  /// is when the lease runs out by itself, `nil` where a live process keeps it.
  case held(by: LeaseHolder?, since: Date?, until: Date?)
  /// The lease is no longer current: it was released, or the named engine took it over.
  case fenced(by: LeaseHolder?)
  /// The disk is full.
  case full(path: String)
  /// Other writers kept the file locked for longer than the time that the journal waits.
  case busy(path: String)
  /// The journal was opened for reading, or its file forbids writing.
  case readOnly(path: String)
  /// The operating system or SQLite failed in some other way.
  case storage(path: String, reason: String)
  /// The stored history does not fit together at this event; see ``MigrationJournal/verify()``.
  case broken(sequence: Int64, what: String)
  /// A request breaks a rule of the journal. The caller is wrong, so this is a bug.
  case invalid(reason: String)
  /// `source` is pinned to `pinned`, so it cannot be mirrored to `asked` as well.
  case pinned(source: TopicPartition, pinned: TopicPartition, asked: TopicPartition)
  /// Another source partition is already mirrored to `target`.
  case targetTaken(target: TopicPartition, by: TopicPartition)
  /// A fact was fixed at the start and may not change.
  case factDiffers(key: String, stored: String, asked: String)
  /// There is no command of this number.
  case unknownCommand(Int64)
  /// The command was answered before.
  case alreadyAnswered(Int64)
  /// No pending effect has this id.
  case unknownEffect(String)
}
