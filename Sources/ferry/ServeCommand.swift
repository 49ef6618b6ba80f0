import ArgumentParser
import Dashboard
import Engine
import Plan

struct ServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Serve a migration's status as a web page, as JSON and for Prometheus. Read-only.",
    discussion: "Paths: / for people, /api/status as JSON, /metrics for Prometheus.")

  @OptionGroup var options: PlanOptions
  @Option(help: "The address to listen on.") var host = "127.0.0.1"
  @Option(help: "The port; 0 takes a free one.") var port = 8080

  func run() async throws {
    let plan = try options.load()
    let path = options.journalPath(plan)
    _ = try MigrationStatus.read(plan, journalPath: path)
    let host = host
    let server = try DashboardServer(host: host, port: port) {
      try MigrationStatus.read(plan, journalPath: path)
    }
    try await server.run { port in Console.out("serving on http://\(host):\(port)/") }
  }
}
