import Foundation
import GRDB
import Synchronization

extension MigrationJournal {
  /// Takes the lease for `duration`; ``renew(_:duration:)`` it well before that has passed.
  ///
  /// Two things keep a second engine out: a lock of the operating system, held while this object
  /// lives, and a row with a fencing token. A lease whose holder died on the same host is taken over at
  /// once; one of another host when it has run out.
  ///
  /// Throws: `held` - another engine has it, or this object has it already; `full`, `readOnly`, `busy`,
  /// `storage`.
  package func acquireLease(
    holder: LeaseHolder, duration: Duration
  ) throws(JournalError) -> Lease {
    do {
      return try held.withLock { held throws -> Lease in
        guard held == nil, let lock = try LeaseLock.take(at: "\(path).lock") else {
          let row = try self.read(LeaseRow.fetch)
          let isLive = row.isLive(at: Date(), on: holder.host, isLocked: true)
          throw JournalError.held(
            by: isLive ? row.holder : nil, since: isLive ? row.since : nil, until: nil)
        }
        do {
          let lease = try takeOver(holder: holder, duration: duration)
          held = HeldLock(lock: lock, token: lease.token)
          return lease
        } catch {
          lock.free()
          throw error
        }
      }
    } catch {
      throw JournalError(error, path: path)
    }
  }

  /// With the operating system's lock in hand: no engine of this host is at work, but one of another
  /// host may be, where the file system does not share locks.
  private func takeOver(
    holder: LeaseHolder, duration: Duration
  ) throws(JournalError) -> Lease {
    try write { db in
      let row = try LeaseRow.fetch(db)
      let now = Date()
      let isOwn = row.holder.host == holder.host && row.holder.processID == holder.processID
      if !isOwn, row.isLive(at: now, on: holder.host, isLocked: false) {
        throw JournalError.held(by: row.holder, since: row.since, until: row.expires)
      }
      try db.execute(
        sql: """
          UPDATE lease SET token = token + 1, active = 1, host = ?, user = ?, process = ?,
            since = ?, expires = ?
          """,
        arguments: [
          holder.host, holder.user, holder.processID, now.milliseconds,
          now.milliseconds + duration.milliseconds,
        ])
      return Lease(token: row.token + 1, holder: holder)
    }
  }

  /// Lets the lease last for `duration` from now. A lease that ran out can be renewed as long as no
  /// other engine took it.
  ///
  /// Throws: `fenced` - another engine took it over, or it was released.
  package func renew(_ lease: Lease, duration: Duration) throws(JournalError) {
    try write(lease) { db in
      try db.execute(
        sql: "UPDATE lease SET expires = ?",
        arguments: [Date().milliseconds + duration.milliseconds])
    }
  }

  /// Gives the lease back. Where that cannot be written the next engine of this host still takes over
  /// as soon as this process has ended, and one of another host when the lease has run out.
  package func release(_ lease: Lease) {
    held.withLock { held in
      try? self.write(lease) { db in try db.execute(sql: "UPDATE lease SET active = 0") }
      guard let lock = held, lock.token == lease.token else { return }
      lock.lock.free()
      held = nil
    }
  }

  /// The last one who took the lease: whether it was given back, and whether its holder may be at work.
  ///
  /// Throws: `unreadable`, `busy`, `storage`.
  package func lastLease() throws(JournalError) -> (
    holder: LeaseHolder, isActive: Bool, isLive: Bool
  ) {
    let row = try read(LeaseRow.fetch)
    return (row.holder, row.active, isLive(row))
  }

  /// The engine at work; `nil` where the lease is released, belongs to a process of this host that
  /// is gone, or to another host and has run out.
  package func currentLease() throws(JournalError) -> LeaseHolder? {
    let row = try read(LeaseRow.fetch)
    return isLive(row) ? row.holder : nil
  }

  private func isLive(_ row: LeaseRow) -> Bool {
    row.isLive(
      at: Date(), on: LeaseHolder.current.host, isLocked: LeaseLock.isTaken(at: "\(path).lock"))
  }
}
