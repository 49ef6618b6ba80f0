import Cutover
import Engine
import Foundation
import KafkaModel
import Synchronization

/// Shows a run's progress on standard error: one line a stage that is redrawn on a terminal, plain
/// lines at changes and every five seconds elsewhere.
final class ProgressPrinter: Sendable {
  private struct State {
    var drawn = 0
    var lastStates: [String] = []
    var lastPlain = ContinuousClock.now - .seconds(60)
  }

  private let state = Mutex(State())
  private let isTerminal = Console.isTerminal

  func show(_ status: MigrationStatus) {
    let lines = status.stages.map(StatusText.line)
    state.withLock { state in
      if isTerminal {
        if state.drawn > 0 { write("\u{1B}[\(state.drawn)A") }
        for line in lines { write("\u{1B}[2K\(line)\n") }
        state.drawn = lines.count
        return
      }
      let states = status.stages.map { "\($0.state) \($0.waitingFor ?? "")" }
      let now = ContinuousClock.now
      guard states != state.lastStates || now - state.lastPlain >= .seconds(5) else { return }
      state.lastStates = states
      state.lastPlain = now
      for line in lines { write("\(line)\n") }
    }
  }

  func finish() { state.withLock { $0.drawn = 0 } }

  private func write(_ text: String) {
    try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
  }
}

/// A stage on one line.
enum StatusText {
  static func line(_ stage: MigrationStatus.Stage) -> String {
    var text = "\(stage.stage)  \(bar(stage))  \(stage.state.rawValue)"
    if stage.records > 0 { text += "  \(stage.records) records" }
    if let rate = stage.recordsPerSecond, rate > 0 { text += "  \(Int(rate))/s" }
    if let lag = stage.lag {
      text += "  lag \(lag)"
      if let rate = stage.recordsPerSecond, rate > 0, lag > 0 {
        text += "  ETA \(Int((Double(lag) / rate).rounded(.up))) s"
      }
    }
    if let waiting = stage.waitingFor { text += "  waits for \(waiting)" }
    if let countdown = stage.countdown, stage.state != .soaking {
      text +=
        "\n    will roll back in \(countdown.secondsLeft) s because \(countdown.reason); `ferry veto` stops it"
    }
    if let failure = stage.failure { text += "  stopped: \(failure)" }
    if let trouble = stage.trouble { text += "\n    trying again: \(trouble)" }
    for stray in stage.strays { text += "\n    \(stray.summary)" }
    for fault in stage.faults { text += "\n    \(fault)" }
    return text
  }

  /// How far the stage is on its way there, or back.
  private static func bar(_ stage: MigrationStatus.Stage) -> String {
    func path(from phase: Phase) -> [Phase] {
      [phase] + stage.strategy.path(from: phase).map(\.reaches)
    }
    let ways =
      [path(from: .planned) + path(from: .finalizing)]
      + [.withdrawing, .recalling, .retreating].map(path)
    let path = ways.first { $0.contains(stage.state) } ?? ways[0]
    let done = (path.firstIndex(of: stage.state) ?? 0) * 14 / (path.count - 1)
    return "[" + String(repeating: "#", count: done) + String(repeating: ".", count: 14 - done)
      + "]"
  }
}
