import Testing

@testable import Plan

@Suite struct SelectorTests {
  @Test(
    arguments: [
      (Selector.match("orders"), "orders", true), (.match("orders"), "orders.v1", false),
      (.match("orders"), "my.orders", false), (.match("orders.*"), "orders.v1", true),
      (.match("orders.*"), "my.orders.v1", false), (.match("a|b"), "a", true),
      (.match("a|b"), "ab", false), (.match("a|ab"), "ab", true), (.match("^a$"), "a", true),
      (.match(#"orders\..*"#), "ordersXv1", false), (.match("(?i)A"), "a", true),
      (.match("("), "(", false), (.match(""), "", true), (.name("orders.*"), "orders.v1", false),
      (.name("orders.*"), "orders.*", true), (.name("a.b"), "aXb", false),
      (.name("\u{e9}"), "e\u{301}", false),
    ])
  func namesAreExactAndExpressionsAnchored(selector: Selector, name: String, expected: Bool) {
    #expect(selector.matches(name) == expected)
  }

  @Test(
    arguments: [
      ("match: 'orders(.*)'", "$0", "orders.v1", "orders.v1"),
      ("match: 'orders(.*)'", "shop$1", "orders.v1", "shop.v1"),
      ("match: '(.*)-(.*)'", "$2.$1.$0", "a-b", "b.a.a-b"),
      ("match: '(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)'", "$10$1", "abcdefghij", "ja"),
      ("match: 'a(-x)?'", "b$1", "a", "b"), ("match: 'a(-x)?'", "b$1", "a-x", "b-x"),
      ("match: 'a|(b)'", "c$1", "b", "cb"), ("name: orders", "new-$0", "orders", "new-orders"),
      ("name: orders", "shop", "orders", "shop"),
      ("match: 'orders.*'", "new-$0", "payments", "payments"),
    ])
  func renamesFillInGroups(
    selector: String, rename: String, topic: String, expected: String
  ) throws {
    var plan = PlanText.with(\.topic, "{ \(selector), owner: t, rename: '\(rename)' }")
    plan.stage.replace("[\"orders.*\"]", with: "['.*']")
    #expect(try plan.parsed().topics[0].targetName(for: topic) == expected)
  }

  @Test(arguments: [
    ("(a)(b)", 2), ("(?:a)(b)", 1), ("a", 0), ("(a|(b))", 2), (#"\(a\)"#, 0),
    ("(?<rest>a)", 1), ("(?x)(a) # (all)", 1), (#"(.)\1"#, 1),
  ])
  func captureGroupsAreCounted(pattern: String, count: Int) {
    #expect(Selector.match(pattern).groupCount == count)
  }

  @Test func theFirstRuleAndTheFirstStageCount() throws {
    var plan = PlanText()
    plan.topic = "{ name: orders.a, owner: first }\n  - { match: \".*\", owner: second }"
    plan.group = "{ name: billing, owner: first }\n  - { match: \".*\", owner: second }"
    plan.stage += "\n  - { stage: rest, topics: [\".*\"], groups: [\".*\"], fence: { exec: [f] }, "
    plan.stage += "switch: { exec: [s] } }"
    let parsed = try plan.parsed()
    #expect(parsed.topicRule(for: "orders.a")?.owner == "first")
    #expect(parsed.topicRule(for: "orders.b")?.owner == "second")
    #expect(parsed.groupRule(for: "billing")?.owner == "first")
    #expect(parsed.groupRule(for: "billing2")?.owner == "second")
    #expect(parsed.stage(forTopic: "orders.b")?.name == "s")
    #expect(parsed.stage(forTopic: "payments")?.name == "rest")
    #expect(parsed.stage(forGroup: "billing")?.name == "s")
    #expect(parsed.stage(forGroup: "audit")?.name == "rest")
    #expect(parsed.stage(named: "rest")?.location.line == 16)
    #expect(parsed.stage(named: "none") == nil)
  }

  @Test func kafkasOwnTopicsAreNeverMeant() throws {
    var plan = PlanText.with(\.topic, "{ match: \".*\", owner: t }")
    plan.stage.replace("orders.*", with: ".*")
    let parsed = try plan.parsed()
    #expect(parsed.topicRule(for: "__consumer_offsets") == nil)
    #expect(parsed.stage(forTopic: "__consumer_offsets") == nil)
    #expect(parsed.topicRule(for: "_schemas") != nil)
  }
}
