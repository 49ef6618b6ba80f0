import ArgumentParser
import Engine
import Plan

struct ThrottleCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "throttle", abstract: "Set how much the mirrors may read a second.",
    discussion: """
      Takes effect at once, replaces the plan's rate until it is set again, and is journalled. \
      Backfill is what partitions read on their first way to the end of their log; all else is tail, \
      which backfill never holds up.
      """)

  @OptionGroup var options: PlanOptions
  @Option(help: "For backfill: for instance 20MiB/s, or unlimited.") var rate: String?
  @Option(help: "For the tail, in the same form.") var tail: String?
  @Option(help: "Why; stands in the journal.") var reason: String?

  func validate() throws {
    guard rate != nil || tail != nil else {
      throw ValidationError("Name --rate, --tail or both.")
    }
    for text in [rate, tail].compactMap({ $0 }) where Self.bytesPerSecond(text) == nil {
      throw ValidationError("`\(text)` is no rate such as 20MiB/s, and not `unlimited`.")
    }
  }

  func run() async throws {
    let desk = try Operator(options)
    let asked = [("backfill", rate), ("tail", tail)].compactMap { name, text in
      text.flatMap { Self.bytesPerSecond($0) }.map { (name, $0) }
    }
    let command = try Operator.command(
      "throttle", stage: nil, reason: reason,
      arguments: Dictionary(uniqueKeysWithValues: asked))
    let said = [rate.map { "backfill \($0)" }, tail.map { "tail \($0)" }].compactMap { $0 }
    guard try desk.isEngineRunning else {
      try Throttling.note(command, in: desk.journal)
      Console.out("\(said.joined(separator: ", ")): noted; `ferry run` begins with it")
      return
    }
    _ = try await desk.send(command)
    Console.out(said.joined(separator: ", "))
  }

  /// 0 is no limit, as the journal has it.
  private static func bytesPerSecond(_ text: String) -> Int64? {
    text == "unlimited" ? 0 : ByteRate.bytesPerSecond(text)
  }
}
