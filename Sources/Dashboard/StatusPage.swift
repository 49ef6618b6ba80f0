internal import Cutover
package import Engine
internal import Mustache

/// The migration's status as a web page. Everything a migration names is escaped.
package struct StatusPage: Sendable {
  private let template: MustacheTemplate

  /// Throws: an error of the template, which is a bug.
  package init() throws {
    template = try MustacheTemplate(
      string: """
        <!doctype html>
        <html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="2">
        <title>{{migration}} - Ferry</title>
        <style>
        body { font: 16px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em }
        table { border-collapse: collapse; width: 100% }
        th, td { text-align: left; padding: .4em .8em; border-bottom: 1px solid #ccc; vertical-align: top }
        .fault { color: #a00; font-weight: bold }
        </style></head><body>
        <h1>{{migration}}</h1>
        <p>{{change}} plan {{digest}}<br>engine: {{engine}}</p>
        <table><tr><th>stage</th><th>state</th><th>records</th><th>lag</th><th>waits for</th></tr>
        {{#stages}}
        <tr><td>{{stage}}</td><td>{{state}}</td><td>{{records}}</td><td>{{lag}}</td>
        <td>{{waiting}}{{#faults}}<div class="fault">{{.}}</div>{{/faults}}</td></tr>
        {{/stages}}
        </table>
        {{#hasTopics}}<table><tr><th>topic</th><th>at</th><th>behind</th><th>seconds</th><th>records/s</th>
        <th>ETA, s</th><th>retention overtakes in, h</th></tr>
        {{#topics}}
        <tr><td>{{topic}}</td><td>{{position}}</td><td>{{lag}}</td><td>{{age}}</td><td>{{rate}}</td>
        <td>{{eta}}</td><td class="{{class}}">{{overtaken}}</td></tr>
        {{/topics}}
        </table>{{/hasTopics}}</body></html>
        """)
  }

  /// The page's HTML.
  package func render(_ status: MigrationStatus) -> String {
    template.render(
      [
        "migration": status.migration, "change": status.change ?? "",
        "hasTopics": status.stages.contains { !$0.topics.isEmpty },
        "topics": status.stages.flatMap(\.topics).sorted(by: TopicStatus.isWorse).map(Self.row),
        "digest": status.planDigest, "engine": status.engine ?? "none runs",
        "stages": status.stages.map { stage -> [String: Any] in
          [
            "stage": stage.stage, "state": stage.state.rawValue, "records": stage.records,
            "lag": stage.lag.map(String.init) ?? "-",
            "waiting": stage.failure ?? stage.waitingFor ?? "-", "faults": stage.faults,
          ]
        },
      ] as [String: Any])
  }

  private static func row(_ topic: TopicStatus) -> [String: Any] {
    func whole(_ number: Double?) -> String { number.map { String(Int($0.rounded())) } ?? "-" }
    return [
      "topic": topic.topic, "position": topic.position, "lag": topic.lag,
      "age": whole(topic.lagSeconds), "rate": whole(topic.recordsPerSecond),
      "eta": whole(topic.etaSeconds), "class": topic.isRetentionNear ? "fault" : "",
      "overtaken": topic.overtakenSeconds.map { whole($0 / 3600) } ?? "-",
    ]
  }
}
