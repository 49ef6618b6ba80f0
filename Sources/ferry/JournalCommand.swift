import ArgumentParser
import Engine
import Foundation
import Journal
import KafkaModel
import Plan

struct JournalCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "journal", abstract: "Audit a migration's journal.",
    subcommands: [Show.self, Verify.self])

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print every event, in order.")
    @OptionGroup var options: PlanOptions
    @Flag(help: "Print JSON.") var json = false

    func run() throws {
      let plan = try options.load()
      let journal = try MigrationJournal.open(at: options.journalPath(plan), mode: .readOnly)
      let events = try journal.events()
      if json { return try Console.json(events) }
      for event in events {
        Console.out(
          "\(event.sequence)  \(event.time.formatted(.iso8601))  \(event.stage ?? "-")  \(event.kind)  \(event.payload)"
        )
      }
    }
  }

  struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Check that nobody edited the journal: hash chain, file and offset maps.")
    @OptionGroup var options: PlanOptions

    func run() throws {
      let plan = try options.load()
      let journal = try MigrationJournal.open(at: options.journalPath(plan), mode: .readOnly)
      switch try journal.verify() {
      case .intact(let events, let head):
        Console.out("intact: \(events) events, head \(head)")
      case .broken(let sequence, let what):
        throw JournalError.broken(sequence: sequence ?? 0, what: what)
      }
    }
  }
}
