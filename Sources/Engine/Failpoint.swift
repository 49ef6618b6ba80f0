internal import Cutover

#if DEBUG
  internal import Foundation
#endif

/// Named places at which a debug build can be disturbed, for tests. Absent from release builds.
///
/// `FERRY_FAILPOINT=NAME`, or `STAGE/NAME`, kills the process there as `kill -9` would.
/// `FERRY_HOLD=DIRECTORY` makes a stage wait at each of its places, while all else goes on: a file
/// `STAGE NAME` appears in the directory, and the stage goes on when somebody has removed it.
/// ``CrashPoints`` lists the places on a stage's ways; those of forwarding are in ``StrayForwarder``.
enum Failpoint {
  static func hit(_ name: @autoclosure () -> String, stage: String? = nil) {
    #if DEBUG
      guard let wanted else { return }
      let name = name()
      if wanted == name || wanted == stage.map({ "\($0)/\(name)" }) { kill(getpid(), SIGKILL) }
    #endif
  }

  /// As ``hit(_:stage:)``, where the stage may also be held.
  static func pass(_ name: @autoclosure () -> String, stage: String) async {
    #if DEBUG
      hit(name(), stage: stage)
      guard let directory else { return }
      let path = "\(directory)/\(stage) \(name())"
      guard FileManager.default.createFile(atPath: path, contents: nil) else { return }
      while FileManager.default.fileExists(atPath: path), !Task.isCancelled {
        try? await Task.sleep(for: .milliseconds(20))
      }
    #endif
  }

  #if DEBUG
    private static let wanted = ProcessInfo.processInfo.environment["FERRY_FAILPOINT"]
    private static let directory = ProcessInfo.processInfo.environment["FERRY_HOLD"]
  #endif
}

extension StageEvent {
  /// For ``Failpoint``.
  var name: String {
    switch self {
    case .resumed: "resumed"
    case .done: "done"
    case .failed: "failed"
    case .rollback: "rollback"
    case .finalize: "finalize"
    case .reopen: "reopen"
    }
  }
}
