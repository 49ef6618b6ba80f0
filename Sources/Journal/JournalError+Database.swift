import Foundation
import GRDB
import SystemPackage

extension JournalError {
  /// What `error`, thrown by SQLite or the file system, means for the journal at `path`.
  init(_ error: any Error, path: String) {
    switch error {
    case let error as JournalError: self = error
    case let error as DatabaseError: self.init(database: error, path: path)
    case Errno.noSpace, Errno.diskQuotaExceeded: self = .full(path: path)
    case let error as Errno: self = .storage(path: path, reason: error.description)
    case let error as OffsetMapCodec.Damaged: self = .unreadable(path: path, reason: error.reason)
    case CocoaError.fileWriteOutOfSpace: self = .full(path: path)
    default: self = .storage(path: path, reason: error.localizedDescription)
    }
  }

  private init(database error: DatabaseError, path: String) {
    let reason = error.message ?? "SQLite error \(error.extendedResultCode.rawValue)"
    switch error.resultCode {
    case .SQLITE_FULL: self = .full(path: path)
    case .SQLITE_BUSY, .SQLITE_LOCKED: self = .busy(path: path)
    case .SQLITE_READONLY: self = .readOnly(path: path)
    case .SQLITE_NOTADB, .SQLITE_CORRUPT: self = .unreadable(path: path, reason: reason)
    case .SQLITE_CONSTRAINT: self = .invalid(reason: reason)
    default: self = .storage(path: path, reason: reason)
    }
  }
}
