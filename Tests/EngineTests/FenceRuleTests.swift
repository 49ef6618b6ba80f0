import Kafka
import Testing

@testable import Engine

@Suite("The rules of an ACL fence")
struct FenceRuleTests {
  private static func rule(
    _ topic: String, _ principal: String, _ operation: TopicACL.Operation = .write,
    denies isDenied: Bool = true, _ pattern: TopicACL.Pattern = .literal
  ) -> TopicACL {
    TopicACL(
      topic: topic, pattern: pattern, principal: principal, operation: operation,
      isDenied: isDenied)
  }

  private static let everyone = rule("orders.", "User:*", .all, denies: false, .prefixed)

  private static func rules(
    present: Set<TopicACL>, held: Set<TopicACL> = []
  ) -> FenceRuleSet {
    FenceRuleSet(
      topics: ["orders.a", "orders.b"], canary: "ferry.canary", principals: ["User:x"],
      present: present, held: held)
  }

  private static let denials = Set(
    ["orders.a", "orders.b", "ferry.canary"].map { rule($0, "User:x") })
  private static let opening = rule("ferry.canary", "User:*", .all, denies: false)

  @Test("Each principal is denied on each topic, and the canary's topic stays open to others")
  func denials() {
    let rules = Self.rules(present: [Self.everyone])
    #expect(rules.own == Self.denials.union([Self.opening]))
    #expect(rules.foreign.isEmpty && rules.open.isEmpty)
  }

  @Test("A rule that was there before is somebody else's and is never removed")
  func foreign() {
    let theirs = Self.rule("orders.a", "User:x")
    let rules = Self.rules(present: [Self.everyone, theirs])
    #expect(rules.foreign == [theirs])
    #expect(rules.own == Self.denials.subtracting([theirs]).union([Self.opening]))
  }

  @Test("Raised again after any part of it was added, it is the same fence")
  func again() {
    let whole = Self.rules(present: [Self.everyone]).own
    for count in 0...whole.count {
      let added = Set(whole.sorted { $0.topic < $1.topic }.prefix(count))
      let rules = Self.rules(present: added.union([Self.everyone]), held: whole)
      #expect(rules.own == whole && rules.foreign.isEmpty && rules.open.isEmpty)
    }
  }

  @Test("A topic that no rule of others applies to is named: the denial would lock everyone out")
  func open() {
    let reader = Self.rule("orders.a", "User:reader", .read, denies: false)
    #expect(Self.rules(present: []).open == ["orders.a", "orders.b"])
    #expect(Self.rules(present: [reader]).open == ["orders.b"])
    #expect(Self.rules(present: [Self.rule("*", "User:*", .all, denies: false)]).open.isEmpty)
    // Its own rules do not count as others'.
    let whole = Self.rules(present: [Self.everyone]).own
    #expect(Self.rules(present: whole, held: whole).open == ["orders.a", "orders.b"])
  }
}
