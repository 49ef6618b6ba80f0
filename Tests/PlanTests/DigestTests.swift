import Foundation
import Testing

@testable import Plan

@Suite struct DigestTests {
  private static func orders(_ edits: (String, String)...) throws -> MigrationPlan {
    var text = try ExamplePlans.text("orders.yaml")
    for (old, new) in edits {
      try #require(text.contains(old), "the example has no `\(old)`")
      text.replace(old, with: new, maxReplacements: 1)
    }
    return try MigrationPlan.parse(text, file: "orders.yaml")
  }

  @Test func aDigestIsASha256() throws {
    let digest = try PlanText().parsed().digest
    #expect(digest.wholeMatch(of: /sha256:[0-9a-f]{64}/) != nil)
  }

  /// Where this fails, plans that were reviewed under an earlier Ferry are no longer the same to it:
  /// say so in the release's notes, and change the value here.
  @Test func theDigestOfAPlanStaysTheSameFromReleaseToRelease() throws {
    let digest = try PlanText().parsed().digest
    #expect(digest == "sha256:182fd83b8a5cc4f4a9c01d0df488851ff420bff52afc6f278d6e7283b7bbf654")
  }

  @Test(
    arguments: [
      ("soak: 30m", "soak: 0.5h"), ("soak: 30m", "soak: 1800s"), ("for: 10s", "for: 10000ms"),
      ("lagBelow: 100, within: 2m", "within: 120s, lagBelow: 100"),
      ("rate: 50MiB/s", "rate: 51200KiB/s"), ("  lanes: auto\n  memory: 512MiB\n", ""),
      ("    priority: 0", ""), ("    onGap: stop", ""), ("    onNewPartitions: stop", ""),
      ("rate: 100MiB/s", "rate: \"100 MiB/s\""), ("stability: 5s", "# by default"),
      ("2026-01-01T00:00:00Z", "1767225600000"), ("2026-01-01T00:00:00Z", "\"1767225600000\""),
      ("owner: team-audit", "owner: \"team-audit\" # they"),
      ("retention.ms: 31536000000", "retention.ms: '31536000000'"),
      ("[./hooks/scale.sh, billing, 0]", "[\"./hooks/scale.sh\", 'billing', \"0\"]"),
      ("    order: partition\n", ""), ("partitions: same", ""), ("strategy: together", ""),
      ("change: CHG-1042", "\n\n# moved\nchange: \"CHG-1042\""),
      ("timeout: 5m", "timeout: 300s"),
    ])
  func spellingDoesNotMatter(old: String, new: String) throws {
    #expect(try Self.orders((old, new)).digest == Self.orders().digest)
  }

  @Test func theOrderOfKeysDoesNotMatter() throws {
    var plan = PlanText()
    plan.head = "migration: m\nferry: v1\nvalidate: {}"
    plan.topic = "{ owner: t, match: \"orders.*\" }"
    let text = plan.text.replacing("\nvalidate: {}\nstages", with: "\nstages")
    #expect(try MigrationPlan.parse(text, file: "q.yaml").digest == PlanText().parsed().digest)
  }

  /// One edit for every value that a plan can have.
  private static let edits: [(String, String)] = [
    ("migration: orders-to-new", "migration: orders-to-newer"),
    ("change: CHG-1042", "change: CHG-1043"), ("change: CHG-1042", ""),
    ("a1.example.net:9093", "a1.example.net:9094"), (", a2.example.net:9093", ""),
    ("[b1.example.net", "[b2.example.net"), ("SASL_SSL", "SASL_PLAINTEXT"),
    ("env:SOURCE_PASSWORD", "env:OTHER_PASSWORD"), ("env:SOURCE_PASSWORD", "file:SOURCE_PASSWORD"),
    ("protocol: SSL", "protocol: PLAINTEXT"),
    ("file:secrets/ferry-key-password", "file:secrets/other"),
    ("name: orders.audit", "match: orders.audit"), ("name: orders.audit", "name: orders.trail"),
    ("team-audit", "team-trail"), ("31536000000", "31536000001"),
    ("retention.ms", "retention.bytes"), ("2026-01-01T00:00:00Z", "latest"),
    ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"), (#"'orders\.(.*)'"#, #"'orders\.(.+)'"#),
    ("shop.orders.$1", "shop.$1"), ("partitions: same", "partitions: 12"),
    ("replication: 3", "replication: 2"), ("replication: 3", ""),
    ("start: earliest", "start: latest"), ("name: billing", "match: billing"),
    ("team-billing", "team-bill"), ("engine: streams", "engine: flink"),
    ("missingCommit: error", "missingCommit: latest"), ("scale.sh, billing", "scale.sh, bill"),
    ("post: ", "put: "), ("net/billing", "net/bill"), ("replicas=4", "replicas=5"),
    ("body: \"replicas=4\", ", ""), ("expect: 202", "expect: 200"),
    ("{ lagBelow: 100, within", "{ lagBelow: 101, within"), ("within: 2m", "within: 3m"),
    ("    verify: { lagBelow: 100, within: 2m }", ""), ("invoices late", "invoices lost"),
    ("timeout: 5m", "timeout: 6m"), ("from the deployment page", "by hand"),
    ("rate: 50MiB/s", "rate: 51MiB/s"), ("  rate: 50MiB/s", ""), ("lanes: auto", "lanes: 2"),
    ("tailRate: 80MiB/s", "tailRate: 81MiB/s"), ("  tailRate: 80MiB/s", ""),
    ("priority: 0", "priority: 1"), ("onGap: stop", "onGap: accept"),
    ("onNewPartitions: stop", "onNewPartitions: mirror"),
    ("memory: 512MiB", "memory: 513MiB"), ("rate: 100MiB/s", "rate: 101MiB/s"),
    ("strategy: together", "strategy: consumers-first"), ("stage: wave-1", "stage: wave-2"),
    (#"topics: ['orders\..*']"#, #"topics: ['orders\..+']"#),
    ("groups: [billing, ", "groups: ["), ("freeze.sh", "frost.sh"),
    ("timeout: 30s", "timeout: 31s"),
    ("exec: [./hooks/thaw.sh, orders]", "manual: thaw"),
    ("    unfence: { exec: [./hooks/thaw.sh, orders] }", ""), ("stability: 5s", "stability: 6s"),
    ("{ lagBelow: 100, for", "{ lagBelow: 101, for"), ("for: 10s", "for: 11s"),
    ("drainWithin: 5s", "drainWithin: 5001ms"), ("approvals: 2", "approvals: 1"),
    ("      - { approvals: 2 }", ""), ("switch.sh, orders", "switch.sh, order"),
    ("soak: 30m", "soak: 31m"),
    ("strays: alert", "strays: rollback"), ("strays: alert", "strays: forward"),
    ("extendRetention: false", "extendRetention: true"),
    ("groupLagAbove: 10000", "groupLagAbove: 10001"),
    ("for: 1m", "for: 2m"), ("grace: 30s", "grace: 31s"), ("after: []", ""),
    ("validated: 15m", "validated: 16m"), ("tue, wed, thu", "tue, wed"),
    ("from: \"22:00\"", "from: \"22:01\""), ("to: \"04:00\"", "to: \"04:01\""),
    ("zone: Europe/Berlin", "zone: UTC"), ("change-is-open.sh", "change.sh"),
    ("timeout: 10s", "timeout: 11s"), ("SCRAM-SHA-512", "PLAIN"),
    ("username: ferry", "username: canoe"),
    ("target-ca.pem", "ca.pem"), ("ferry.pem", "canoe.pem"), ("ferry.key", "canoe.key"),
    ("order-views(-.*)?", "order-views(-.+)?"), ("expect: 202 } }", "expect: 202 }, timeout: 9s }"),
    ("switch.sh, orders] }", "switch.sh, orders], timeout: 9s }"),
  ]

  @Test func everyValueMatters() throws {
    var seen = [try Self.orders().digest: "nothing"]
    for edit in Self.edits {
      let digest = try Self.orders(edit).digest
      let previous = seen.updateValue("\(edit)", forKey: digest)
      #expect(previous == nil, "\(edit) has the digest of \(previous ?? "")")
    }
  }

  @Test func theEditsReachEveryValueThatTheDigestIsTakenOf() throws {
    let before = try Self.leaves(Self.orders())
    var changed: Set<String> = []
    for edit in Self.edits {
      let after = try Self.leaves(Self.orders(edit))
      changed.formUnion(before.filter { after[$0.key] != $0.value }.keys)
    }
    let same = Set(before.keys).subtracting(changed)
    // Values that stand in the example twice over, once changed and once not.
    let spared = same.filter { path in
      let kind = path.replacing(/\.\d+/, with: "")
      return !changed.contains { $0.replacing(/\.\d+/, with: "") == kind }
    }
    #expect(spared.sorted() == [])
  }

  @Test func noFieldOfARuleIsLeftOutOfTheDigest() throws {
    let plan = try Self.orders()
    let rules: [any Encodable] = [plan.topics[1], plan.groups[0], plan.stages[0], plan.body]
    for rule in rules {
      let encoded = try JSONSerialization.jsonObject(with: JSONEncoder().encode(rule))
      let keys = try #require(encoded as? [String: Any]).keys
      let fields = Swift.Mirror(reflecting: rule).children.compactMap(\.label)
      // `rekey` is encoded only where a rule has it: digests of other plans stay as they were.
      #expect(Set(keys) == Set(fields).subtracting(["location", "rekey"]))
    }
  }

  private static func leaves(_ plan: MigrationPlan) throws -> [String: String] {
    var found: [String: String] = [:]
    func visit(_ value: Any, _ path: String) {
      if let mapping = value as? [String: Any] {
        for (key, value) in mapping { visit(value, "\(path).\(key)") }
      } else if let list = value as? [Any] {
        for (index, value) in list.enumerated() { visit(value, "\(path).\(index)") }
      } else {
        found[path] = "\(value)"
      }
    }
    visit(try JSONSerialization.jsonObject(with: plan.canonicalForm), "")
    return found
  }
}
