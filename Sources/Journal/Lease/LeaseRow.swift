import Foundation
import GRDB

/// The lease as stored: the last engine that took it.
struct LeaseRow {
  let token: Int64
  /// False once the lease was released.
  let active: Bool
  let holder: LeaseHolder
  let since: Date
  let expires: Date

  static func fetch(_ db: Database) throws -> LeaseRow {
    let statement = try db.cachedStatement(sql: "SELECT * FROM lease")
    guard let row = try Row.fetchOne(statement) else {
      throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "it has no lease row")
    }
    return LeaseRow(
      token: row["token"], active: row["active"],
      holder: LeaseHolder(host: row["host"], user: row["user"], processID: row["process"]),
      since: Date(milliseconds: row["since"]), expires: Date(milliseconds: row["expires"]))
  }

  /// Whether the holder may be at work still, as seen from `host` at `now`: a dead process of the same
  /// host is not, whatever time it had left.
  ///
  /// - Parameter isLocked: whether a process of `host` has the lease's lock. It is asked where the time is
  ///   over for a holder that is alive: a clock may have jumped, and a process number be another's by now.
  func isLive(at now: Date, on host: String, isLocked: @autoclosure () -> Bool) -> Bool {
    guard active else { return false }
    guard holder.host == host else { return expires > now }
    return LeaseLock.isAlive(holder.processID) && (expires > now || isLocked())
  }
}
