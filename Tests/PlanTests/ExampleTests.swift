import Foundation
import KafkaModel
import Testing

@testable import Plan

@Suite struct ExampleTests {
  @Test func thereAreExamples() { #expect(ExamplePlans.paths.contains("orders.yaml")) }

  @Test(arguments: ExamplePlans.paths)
  func everyExampleIsAValidPlan(path: String) throws {
    let plan = try MigrationPlan.load(
      path: ExamplePlans.directory.appendingPathComponent(path).path)
    #expect(plan.findings.filter { $0.severity == .warning } == [])
    #expect(plan.directory.hasPrefix("/"))
  }

  @Test(arguments: ["", "ferry-quickstart-1.2."])
  func theQuickStartsPlanIsValidOnceFilledIn(prefix: String) throws {
    var text = try ExamplePlans.text("quickstart/plan.yaml.in")
    for (name, value) in [
      "SOURCE": "127.0.0.1:1", "TARGET": "127.0.0.1:2", "HOOKS": "/h", "PREFIX": prefix,
    ] {
      text = text.replacing("@\(name)@", with: value)
    }
    let plan = try MigrationPlan.parse(text, file: "/p/plan.yaml")
    #expect(plan.findings.filter { $0.severity == .warning } == [])
  }

  @Test func theOrdersPlanMeansWhatItSays() throws {
    let plan = try MigrationPlan.parse(ExamplePlans.text("orders.yaml"), file: "/p/orders.yaml")
    #expect(plan.name == "orders-to-new")
    #expect(plan.change == "CHG-1042")
    #expect(plan.directory == "/p")
    #expect(plan.cluster(.source).bootstrap == ["a1.example.net:9093", "a2.example.net:9093"])
    #expect(plan.cluster(.source).client["security.protocol"] == .literal("SASL_SSL"))
    #expect(plan.cluster(.source).client["sasl.password"] == .environment("SOURCE_PASSWORD"))
    #expect(
      plan.cluster(.target).client["ssl.key.password"] == .file("secrets/ferry-key-password"))
    #expect(plan.topicRule(for: "orders.audit")?.config == ["retention.ms": "31536000000"])
    #expect(plan.topicRule(for: "orders.audit")?.start == .timestamp(1_767_225_600_000))
    let orders = try #require(plan.topicRule(for: "orders.events"))
    #expect(orders.targetName(for: "orders.events") == "shop.orders.events")
    #expect(orders.replication == 3)
    #expect(orders.partitions == .same)
    let billing = try #require(plan.groupRule(for: "billing"))
    #expect(billing.pause?.action == .exec(["./hooks/scale.sh", "billing", "0"]))
    #expect(billing.pause?.timeout == .seconds(60))
    #expect(
      billing.resume?.action
        == .http(
          method: "POST", url: "https://deploy.example.net/billing", body: "replicas=4", expect: 202
        ))
    #expect(billing.verify == GroupRule.Verify(lagBelow: 100, within: .seconds(120)))
    #expect(billing.failureMode == "invoices late")
    let views = try #require(plan.groupRule(for: "order-views-2"))
    #expect(views.engine == .streams)
    #expect(views.missingCommit == .earliest)
    #expect(views.pause?.timeout == .seconds(300))
    #expect(views.resume?.action == .manual("Start order-views from the deployment page"))
    #expect(plan.mirror.bytesPerSecond == 50 << 20)
    #expect(plan.mirror.tailBytesPerSecond == 80 << 20)
    #expect(plan.mirror.lanes == nil)
    #expect(orders.priority == 0)
    #expect(orders.onGap == .stop)
    #expect(orders.onNewPartitions == .stop)
    #expect(plan.validate.bytesPerSecond == 100 << 20)
    let stage = try #require(plan.stage(forTopic: "orders.audit"))
    #expect(stage.name == "wave-1")
    guard case .hook(let fence) = stage.fence else { throw PlanError.invalid([]) }
    #expect(fence.timeout == .seconds(30))
    #expect(
      stage.gates == [
        .lagBelow(100, sustained: .seconds(10)), .drainWithin(.seconds(5)), .approvals(2),
        .validated(within: .seconds(900)),
        .window(
          ChangeWindow(
            days: [.tue, .wed, .thu], from: 22 * 60, to: 4 * 60, zone: "Europe/Berlin")),
        .hook(
          Hook(action: .exec(["./hooks/change-is-open.sh", "CHG-1042"]), timeout: .seconds(10))),
      ])
    #expect(plan.predecessors(of: stage) == [])
    #expect(stage.soak == .seconds(1800))
    #expect(
      stage.rollbackOn == [
        StagePlan.RollbackTrigger(
          groupLagAbove: 10000, sustained: .seconds(60), grace: .seconds(30))
      ])
    #expect(plan.stage(forGroup: "order-views")?.name == "wave-1")
  }

  @Test func whatIsLeftOutHasADefault() throws {
    let plan = try PlanText().parsed()
    #expect(plan.change == nil)
    #expect(plan.topics[0].rename == "$0")
    #expect(plan.topics[0].partitions == .same)
    #expect(plan.topics[0].replication == nil)
    #expect(plan.topics[0].start == .earliest)
    #expect(plan.groups[0].missingCommit == .error)
    #expect(plan.mirror == MirrorPlan(bytesPerSecond: nil, lanes: nil, memoryBytes: 512 << 20))
    #expect(plan.validate == ValidatePlan(bytesPerSecond: nil))
    #expect(plan.stages[0].stability == .seconds(5))
    #expect(plan.stages[0].soak == .seconds(1800))
    #expect(plan.stages[0].unfence == nil)
    #expect(plan.topics[0].location == SourceLocation(file: "p.yaml", line: 7, column: 5))
  }

  /// As editors of other systems write them.
  @Test func aByteOrderMarkAndReturnsAreNothingToRemark() throws {
    let text = "\u{FEFF}" + PlanText().text.replacing("\n", with: "\r\n")
    #expect(try MigrationPlan.parse(text, file: "p.yaml").digest == PlanText().parsed().digest)
    #expect(
      PlanText.problems(of: text.replacing("ferry:", with: "frry:"))
        == ["1:1: a plan has no key `frry`; did you mean `ferry`?"])
  }

  @Test func anchorsMayStandForWholeValues() throws {
    var plan = PlanText()
    plan.group = "{ name: billing, owner: t, pause: &h { exec: [x] }, resume: *h }"
    let group = try plan.parsed().groups[0]
    #expect(group.pause == group.resume)
    #expect(group.pause?.action == .exec(["x"]))
  }

  /// No edit of a good plan may do worse than be refused.
  @Test(arguments: 1...20)
  func noDamageDoesMoreThanMakeAPlanInvalid(seed: UInt64) throws {
    var random = SplitMix(state: seed)
    let scalars = Array(try ExamplePlans.text("orders.yaml").unicodeScalars)
    let bits = [
      "[", "]", "{", "}", ":", "\"", "'", "-", "*", "&", "\n", "~", "999999999999999d", "$9",
    ]
    for _ in 0..<50 {
      var damaged = scalars
      for _ in 0...Int.random(in: 0...2, using: &random) {
        let start = Int.random(in: 0..<damaged.count, using: &random)
        let end = min(damaged.count, start + Int.random(in: 0...12, using: &random))
        let insert = Bool.random(using: &random) ? bits.randomElement(using: &random)! : ""
        damaged.replaceSubrange(start..<end, with: Array(insert.unicodeScalars))
      }
      var text = String.UnicodeScalarView()
      text.append(contentsOf: damaged)
      let problems = PlanText.problems(of: String(text))
      #expect(
        problems.allSatisfy {
          $0.firstMatch(of: /^[1-9]\d*:[1-9]\d*: \w|^[1-9]\d*:[1-9]\d*: `/) != nil
        })
    }
  }
}

/// Random numbers that are the same in every run.
private struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}
