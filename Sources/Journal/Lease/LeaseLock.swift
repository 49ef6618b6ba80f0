import Foundation
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The operating system's lock on the file beside the journal. The kernel frees it when the process
/// ends, however it ends. Programs that the engine starts do not inherit it.
struct LeaseLock {
  private let descriptor: FileDescriptor

  /// `nil` where another process, or another journal object of this one, has the lock.
  ///
  /// Throws: `Errno` - when the file cannot be opened, or its file system knows no locks.
  static func take(at path: String) throws(Errno) -> LeaseLock? {
    let descriptor: FileDescriptor
    do {
      descriptor = try FileDescriptor.open(
        FilePath(path), .readWrite, options: [.create, .noFollow, .closeOnExec],
        permissions: .ownerReadWrite)
    } catch {
      throw error as? Errno ?? .ioError
    }
    while flock(descriptor.rawValue, LOCK_EX | LOCK_NB) != 0 {
      let code = Errno(rawValue: errno)
      if code == .interrupted { continue }
      try? descriptor.close()
      if code == .wouldBlock { return nil }
      throw code
    }
    return LeaseLock(descriptor: descriptor)
  }

  /// Whether somebody has the lock; not where that cannot be found out.
  static func isTaken(at path: String) -> Bool {
    do {
      guard let own = try take(at: path) else { return true }
      own.free()
    } catch {}
    return false
  }

  func free() { try? descriptor.close() }

  /// Whether a process of this number runs on this machine.
  static func isAlive(_ processID: Int32) -> Bool {
    guard processID > 0 else { return false }
    return kill(processID, 0) == 0 || errno == EPERM
  }
}
