extension MigrationReport {
  /// For people.
  ///
  /// - Parameter time: turns seconds since 1970 into text.
  package func text(time: (Double) -> String) -> String {
    var text = "\(migration)\(change.map { "  (\($0))" } ?? "")  \(planDigest)\n"
    text += "journal: \(journal)\n"
    for stage in stages { text += "\n" + stage.text(time: time) }
    return text
  }
}

extension MigrationReport.Stage {
  fileprivate func text(time: (Double) -> String) -> String {
    var text = "\(stage)  \(state), \(strategy)\(attempt > 1 ? ", attempt \(attempt)" : "")\n"
    for order in orders { text += "  \(order)\n" }
    for gate in forced { text += "  \(gate)\n" }
    if let rollbackReason { text += "  went back because \(rollbackReason)\n" }
    if let rolledBack {
      text += "  the way back took \(Self.seconds(rolledBack.actualSeconds))"
      text += rolledBack.predictedSeconds.map { ", predicted were \(Self.seconds($0))" } ?? ""
      text += "\n"
      for group in rolledBack.groups { text += "    \(group)\n" }
    }
    if let window { text += Self.text(window) }
    if !steps.isEmpty { text += "  steps\n" }
    for run in steps {
      text += "    \(time(run.ended))  \(run.step)"
      if let seconds = run.seconds { text += "  \(Self.seconds(seconds))" }
      if let failure = run.failure { text += "  FAILED: \(failure)" }
      text += "\n"
      for note in run.notes.prefix(Self.shownNotes) { text += "      \(note)\n" }
      if run.notes.count > Self.shownNotes {
        text += "      and \(run.notes.count - Self.shownNotes) more; --json has all\n"
      }
    }
    return text
  }

  private static let shownNotes = 5

  private static func text(_ window: MigrationReport.Window) -> String {
    var text =
      "  window: clients stood still for \(seconds(window.seconds)), \(seconds(window.stabilitySeconds)) of it to see the fence hold\n"
    let width = window.parts.map(\.step.count).max() ?? 0
    for part in window.parts where part.seconds >= 0.0005 {
      let pad = String(repeating: " ", count: width - part.step.count)
      let figure = seconds(part.seconds)
      let room = String(repeating: " ", count: max(0, 8 - figure.count))
      text += "    \(room)\(figure)  \(part.step)\(pad)  \(part.what)\n"
    }
    return text
  }

  private static func seconds(_ value: Double) -> String {
    let thousandths = Int((value * 1000).rounded())
    let part = String(1000 + abs(thousandths) % 1000).dropFirst()
    return "\(thousandths < 0 ? "-" : "")\(abs(thousandths) / 1000).\(part) s"
  }
}
