package import Engine
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import NIOCore

/// Serves a migration's status over HTTP, read-only: `/` for people, `/api/status` as JSON, `/metrics`
/// for Prometheus.
package struct DashboardServer: Sendable {
  private let host: String
  private let port: Int
  private let page: StatusPage
  private let status: @Sendable () throws -> MigrationStatus

  /// - Parameters:
  ///   - port: 0 takes a free one.
  ///   - status: asked anew for every request.
  package init(
    host: String, port: Int, status: @escaping @Sendable () throws -> MigrationStatus
  ) throws {
    self.host = host
    self.port = port
    self.status = status
    page = try StatusPage()
  }

  /// Serves until SIGINT or SIGTERM.
  ///
  /// - Parameter onReady: told the port once connections are accepted.
  /// Throws: the server's error, for instance that the port is taken.
  package func run(onReady: @escaping @Sendable (Int) -> Void) async throws {
    let router = Router()
    let page = page
    let status = status
    router.get("/") { _, _ in
      Self.answer("text/html; charset=utf-8") { page.render(try status()) }
    }
    router.get("/api/status") { _, _ in
      Self.answer("application/json") { try JSON.text(try status()) }
    }
    router.get("/metrics") { _, _ in
      Self.answer("text/plain; version=0.0.4") { PrometheusText.render(try status()) }
    }
    let application = Application(
      router: router,
      configuration: ApplicationConfiguration(address: .hostname(host, port: port)),
      onServerRunning: { channel in onReady(channel.localAddress?.port ?? 0) },
      logger: Logger(label: "dashboard") { _ in SwiftLogNoOpLogHandler() })
    try await application.runService()
  }

  private static func answer(_ type: String, _ body: () throws -> String) -> Response {
    do {
      return Response(
        status: .ok, headers: [.contentType: type],
        body: ResponseBody(byteBuffer: ByteBuffer(string: try body())))
    } catch {
      return Response(
        status: .serviceUnavailable, headers: [.contentType: "text/plain; charset=utf-8"],
        body: ResponseBody(byteBuffer: ByteBuffer(string: "\(error)\n")))
    }
  }
}
