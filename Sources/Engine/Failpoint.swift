#if DEBUG
  internal import Foundation
#endif

/// Named places where a debug build kills itself as `kill -9` would, for crash tests: the environment
/// variable `FERRY_FAILPOINT` names the place. Absent from release builds.
enum Failpoint {
  static func hit(_ name: @autoclosure () -> String) {
    #if DEBUG
      if let wanted, wanted == name() { kill(getpid(), SIGKILL) }
    #endif
  }

  #if DEBUG
    private static let wanted = ProcessInfo.processInfo.environment["FERRY_FAILPOINT"]
  #endif
}
