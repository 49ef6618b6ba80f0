import Foundation
import GRDB

extension MigrationJournal {
  /// Leaves a command for the engine; needs no lease. Returns the command's number.
  ///
  /// Throws: `invalid` - the arguments are no JSON, or the kind is empty; `full`, `busy`, `readOnly`,
  /// `storage`.
  package func submit(_ command: NewCommand) throws(JournalError) -> Int64 {
    try write { db in
      try db.execute(
        sql: """
          INSERT INTO command (time, kind, stage, arguments, user, host, reason)
          VALUES (?, ?, ?, ?, ?, ?, ?)
          """,
        arguments: [
          command.time.milliseconds, command.kind, command.stage, command.arguments, command.user,
          command.host, command.reason,
        ])
      return db.lastInsertedRowID
    }
  }

  /// The commands without an answer, oldest first. An answer is given with
  /// ``append(_:begin:end:answer:lease:)``, together with the events that it caused.
  ///
  /// Throws: `unreadable`, `busy`, `storage`.
  package func openCommands() throws(JournalError) -> [OperatorCommand] {
    try read { db in
      let statement = try db.cachedStatement(
        sql: "SELECT * FROM command WHERE answered IS NULL ORDER BY id")
      return try Row.fetchAll(statement).map(Self.command)
    }
  }

  /// The command of this number, answered or not; `nil` where there is none.
  ///
  /// Throws: `unreadable`, `busy`, `storage`.
  package func command(_ id: Int64) throws(JournalError) -> OperatorCommand? {
    try read { db in
      try Row.fetchOne(db, sql: "SELECT * FROM command WHERE id = ?", arguments: [id])
        .map(Self.command)
    }
  }

  static func answer(
    _ id: Int64, _ outcome: CommandOutcome, at sequence: Int64, _ db: Database
  ) throws {
    let answered = try Row.fetchOne(
      db, sql: "SELECT answered FROM command WHERE id = ?", arguments: [id])
    guard let answered else { throw JournalError.unknownCommand(id) }
    guard answered["answered"] as Int64? == nil else { throw JournalError.alreadyAnswered(id) }
    try db.execute(
      sql: "UPDATE command SET answered = ?, accepted = ?, message = ? WHERE id = ?",
      arguments: [sequence, outcome.accepted, outcome.message, id])
  }

  private static func command(_ row: Row) -> OperatorCommand {
    let accepted: Bool? = row["accepted"]
    let message: String? = row["message"]
    return OperatorCommand(
      id: row["id"], time: Date(milliseconds: row["time"]), kind: row["kind"],
      stage: row["stage"], arguments: row["arguments"], user: row["user"], host: row["host"],
      reason: row["reason"],
      outcome: accepted.map { CommandOutcome(accepted: $0, message: message ?? "") })
  }
}
