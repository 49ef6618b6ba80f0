import KafkaModel
import Testing

@testable import Plan

/// What is wrong with a plan in which one part is replaced, each exactly once, with line and column.
@Suite struct ProblemTests {
  @Test(
    arguments: [
      ("migration: m", ["1:1: a plan needs `ferry`"]),
      ("ferry: v2\nmigration: m", ["1:8: this Ferry reads plans of version `v1`, not `v2`"]),
      ("ferry: 1\nunheard: of", ["1:8: this Ferry reads plans of version `v1`, not `1`"]),
      ("ferry: [v1]", ["1:8: this Ferry reads plans of version `v1`"]),
      ("ferry:\nmigration: m", ["1:7: `ferry` has no value"]),
      ("ferry: v1", ["1:1: a plan needs `migration`"]),
      ("ferry: v1\nmigraton: m", ["2:1: a plan has no key `migraton`; did you mean `migration`?"]),
      (
        "ferry: v1\nmigration: m\nowner: x",
        [
          "3:1: a plan has no key `owner`; known are ferry, migration, change, clusters, topics, "
            + "groups, mirror, validate, stages"
        ]
      ),
      (
        "ferry: v1\nmigration: a/b",
        ["2:12: `migration` may hold letters, digits, dots, dashes and underscores, 200 at most"]
      ),
      ("ferry: v1\nmigration: [m]", ["2:12: `migration` has to be text"]),
      ("ferry: v1\nmigration: \"\"", ["2:12: `migration` has to be text"]),
      ("ferry: v1\nmigration: m\nchange: ~", ["3:9: `change` has no value"]),
      (
        "ferry: v1\nmigration: m\nmigration: n",
        ["2:1: the mapping has `migration` twice; the first one stands here"]
      ),
      (
        "ferry: v1\nmigration: m\n<<: {}",
        ["3:1: merge keys (`<<`) are not supported: use an alias for a whole value"]
      ),
      (
        "ferry: v1\nmigration: [",
        [
          "4:9: not valid YAML: while parsing a flow sequence: did not find expected ',' or ']'"
        ]
      ),
      ("ferry: v1\nmigration: *m", ["2:12: not valid YAML: found undefined alias"]),
      (
        "ferry: v1\nmigration: \"a\u{1}\"",
        ["2:14: not valid YAML: control characters are not allowed"]
      ),
      (
        "ferry: v1\nmigration: m\n---\na: b",
        [
          "3:1: not valid YAML: expected a single document in the stream: but found another document"
        ]
      ),
    ])
  func aPlansOwnKeysAreChecked(text: String, expected: [String]) {
    #expect(PlanText.with(\.head, text).problems == expected)
  }

  @Test(arguments: ["", "# nothing but a comment", "---", "~"])
  func anEmptyPlanIsNoPlan(text: String) {
    #expect(PlanText.problems(of: text) == ["1:1: the plan is empty"])
  }

  @Test func aPlanHasToBeAMapping() {
    #expect(
      PlanText.problems(of: "- a").first?.hasPrefix("1:1: a plan has to be a mapping with") == true)
  }

  @Test(
    arguments: [
      ("{}", ["4:11: `source` needs `bootstrap`"]),
      ("[]", ["4:11: `source` has to be a mapping with the keys bootstrap, client"]),
      ("{ bootstrap: a:9092 }", ["4:24: `bootstrap` has to be a list"]),
      ("{ bootstrap: [] }", ["4:24: `bootstrap` needs at least one entry"]),
      (
        "{ bootstrap: [a, \"a:99999\", \":1\", \"[::1]:9092\", \"a:1,c:1\"] }",
        [
          "4:25: `a` is not host:port", "4:28: `a:99999` is not host:port",
          "4:39: `:1` is not host:port", "4:59: `a:1,c:1` is not host:port",
        ]
      ),
      (
        "{ bootstrap: [\"a:+9092\", \"b:09092\", \"a:0\", a] }",
        [
          "4:25: `a:+9092` is not host:port", "4:36: `b:09092` is not host:port",
          "4:47: `a:0` is not host:port", "4:54: `a` is not host:port",
        ]
      ),
      (
        "{ bootstrap: [a:1, B:9092] }",
        ["5:25: `b:9092` is a broker of the source as well: there have to be two clusters"]
      ),
      (
        "{ bootstrap: [a:1], clients: {} }",
        ["4:31: `source` has no key `clients`; did you mean `client`?"]
      ),
      (
        "{ bootstrap: [a:1], client: [] }",
        ["4:39: `client` has to be a mapping of names to values"]
      ),
      (
        "{ bootstrap: [a:1], client: { x: [] } }",
        ["4:44: `client`: the value of `x` has to be text or a number"]
      ),
      ("{ bootstrap: [a:1], client: { 1: a, \"1\": b } }", ["4:47: `client` has `1` twice"]),
      (
        "{ bootstrap: [a:1], client: { isolation.level: read_uncommitted } }",
        ["4:58: `isolation.level` cannot be set here: Ferry sets it itself"]
      ),
    ])
  func clustersAreChecked(text: String, expected: [String]) {
    #expect(PlanText.with(\.source, text).problems == expected)
  }

  @Test(
    arguments: [
      ("{ match: \"orders.*\" }", ["7:5: a topic rule needs `owner`"]),
      (
        "{ match: \"orders.*\", onwer: t }",
        ["7:26: a topic rule has no key `onwer`; did you mean `owner`?"]
      ),
      ("{ match: \"orders.*\", owner: ' ' }", ["7:33: `owner` has to be text"]),
      ("{ match: \"orders.*\", owner: \"\" }", ["7:33: `owner` has to be text"]),
      ("{ match: \"orders.*\", owner: }", ["7:33: `owner` has no value"]),
      ("{ owner: t }", ["7:5: a topic rule needs exactly one of name, match"]),
      ("{ match: a, name: a, owner: t }", ["7:5: a topic rule needs exactly one of name, match"]),
      ("{ match: \"(\", owner: t }", ["7:14: `(` is not a regular expression: expected ')'"]),
      (
        "{ name: __consumer_offsets, owner: t }\n  - { match: \"orders.*\", owner: t }",
        ["7:13: topics that begin with `__` are Kafka's own and are never moved"]
      ),
      (
        "{ match: \"orders.*\", owner: t }\n  - { match: \"orders.*\", owner: u }",
        [
          "8:14: `orders.*` stands in line 7 already: "
            + "the first topic rule that fits is the one that counts"
        ]
      ),
    ])
  func topicRulesAreChecked(text: String, expected: [String]) {
    #expect(PlanText.with(\.topic, text).problems == expected)
  }

  @Test(
    arguments: [
      ("partitions: 0", 13, "`partitions` has to be at least 1, not 0"),
      ("partitions: 2147483648", 13, "`partitions` has to be at most 2147483647, not 2147483648"),
      ("partitions: \"3\"", 13, "`partitions` has to be `same` or a whole number without quotes"),
      ("partitions: sam", 13, "`partitions` has to be `same` or a whole number, not `sam`"),
      ("replication: 0", 14, "`replication` has to be at least 1, not 0"),
      ("replication: 1.5", 14, "`replication` has to be a whole number, not `1.5`"),
      ("replication: [3]", 14, "`replication` has to be a whole number"),
      (
        "start: earlist", 8,
        "`start` has to be earliest, latest, milliseconds since 1970 or a time such as "
          + "2026-01-31T12:00:00Z, not `earlist`; did you mean `earliest`?"
      ),
      (
        "order: rekey", 8,
        "`order: rekey` is for another number of partitions: set `partitions`, or leave it out"
      ),
      (
        "order: partitions", 8,
        "`order` is one of partition, rekey, not `partitions`; did you mean `partition`?"
      ),
      ("rename: $1", 9, "`rename` uses `$1`, but `orders.*` has no groups"),
      ("rename: $x", 9, "`rename`: a `$` needs a number behind it: `$0` is the source's name"),
      (
        "rename: a b$0", 9,
        "`rename`: a topic's name holds letters, digits, dots, dashes and underscores"
      ),
      (
        "rename: __$0", 9,
        "`rename`: topics that begin with `__` are Kafka's own and are never written to"
      ),
      ("config: [a]", 9, "`config` has to be a mapping of names to values"),
      ("config: { a: ~ }", 14, "`config`: the value of `a` has to be text or a number"),
      ("config: { a: {} }", 14, "`config`: the value of `a` has to be text or a number"),
    ])
  func theValuesOfATopicRuleAreChecked(text: String, offset: Int, message: String) {
    let plan = PlanText.with(\.topic, "{ owner: t, \(text), match: \"orders.*\" }")
    // `text` begins in column 17.
    #expect(plan.problems == ["7:\(16 + offset): \(message)"])
  }

  @Test(
    arguments: [
      (
        "engine: flnk", 9,
        "`engine` is one of consumer, streams, connect, flink, spark, not `flnk`; did you mean `flink`?"
      ),
      (
        "missingCommit: never", 16, "`missingCommit` is one of error, earliest, latest, not `never`"
      ),
      ("verify: { within: 1m }", 9, "`verify` needs `lagBelow`"),
      ("verify: { lagBelow: -1 }", 21, "`lagBelow` has to be at least 0, not -1"),
      ("verify: 5", 9, "`verify` has to be a mapping with the keys lagBelow, within"),
      ("pause: {}", 8, "`pause` needs exactly one of exec, http, manual"),
      ("pause: { exec: [x], manual: y }", 8, "`pause` needs exactly one of exec, http, manual"),
      ("pause: { exce: [x] }", 10, "`pause` has no key `exce`; did you mean `exec`?"),
      (
        "pause: { acl: deny }", 10,
        "`pause` has no key `acl`; known are exec, http, manual, timeout"
      ),
      (
        "pause: { exec: ./x }", 16,
        "`exec` has to be a list, [program, argument, ...]: hooks run without a shell"
      ),
      ("pause: { exec: [] }", 16, "`exec` needs a program"),
      ("pause: { exec: [x, ~] }", 20, "`exec` has to be text"),
      ("pause: { exec: [x], timeout: 0s }", 30, "`timeout` has to be at least 1ms, not `0s`"),
      (
        "pause: { manual: x, timeout: 1s }", 30,
        "`timeout` does not go with `manual`: a person takes their time"
      ),
      (
        "pause: { http: { pst: \"http://x\" } }", 18,
        "`http` has no key `pst`; did you mean `post`?"
      ),
      (
        "pause: { http: { post: \"ftp://x\" } }", 24,
        "`post` needs a URL that begins with http:// or https://"
      ),
      (
        "pause: { http: { post: \"http://u:p@x\" } }", 24,
        "the URL holds a user or a password: plans hold no secrets, so call a program instead"
      ),
      (
        "pause: { http: { post: \"http://token@x\" } }", 24,
        "the URL holds a user or a password: plans hold no secrets, so call a program instead"
      ),
      (
        "pause: { http: { put: \"http://x\", expect: 99 } }", 43,
        "`expect` has to be at least 100, not 99"
      ),
      (
        "pause: { http: { put: \"http://x\", get: \"http://x\" } }", 16,
        "`http` needs exactly one of get, post, put, patch, delete"
      ),
    ])
  func theValuesOfAGroupRuleAreChecked(text: String, offset: Int, message: String) {
    let plan = PlanText.with(\.group, "{ owner: t, \(text), name: billing }")
    #expect(plan.problems == ["9:\(16 + offset): \(message)"])
  }

  @Test(arguments: ["streams", "connect", "flink", "spark"])
  func anEngineWithStateNeedsBothHooks(engine: String) {
    let without = PlanText.with(\.group, "{ name: billing, owner: t, engine: \(engine) }")
    #expect(
      without.problems == [
        "9:5: a group of engine `\(engine)` needs a `pause` hook",
        "9:5: a group of engine `\(engine)` needs a `resume` hook",
      ])
    let with = PlanText.with(
      \.group,
      "{ name: billing, owner: t, engine: \(engine), pause: { exec: [p] }, resume: { manual: r } }")
    #expect(with.problems == [])
  }

  @Test(
    arguments: [
      (
        "{ rate: 50MiB }", 9,
        "`rate` has to be a rate such as 50MiB/s, not `50MiB`"
      ),
      ("{ rate: 50 }", 9, "`rate` has to be a rate such as 50MiB/s, not `50`"),
      ("{ rate: 0B/s }", 9, "`rate` has to be more than nothing"),
      (
        "{ rate: 50MIB/s }", 9,
        "`rate` has to be a rate such as 50MiB/s, not `50MIB/s`; did you mean `MiB/s`?"
      ),
      ("{ lanes: many }", 10, "`lanes` has to be `auto` or a whole number, not `many`"),
      ("{ lanes: 0 }", 10, "`lanes` has to be at least 1, not 0"),
      ("{ memory: [] }", 11, "`memory` has to be a size such as 50MiB"),
      ("{ memory: 9999TiB }", 11, "`memory` has to lie between 1B and 1024TiB, not `9999TiB`"),
      (
        "{ memory: 999999999999999TiB }", 11,
        "`memory` has to lie between 1B and 1024TiB, not `999999999999999TiB`"
      ),
      ("{ tailRate: 5 }", 13, "`tailRate` has to be a rate such as 50MiB/s, not `5`"),
      ("{ rates: 5 }", 3, "`mirror` has no key `rates`; did you mean `rate`?"),
    ])
  func theMirrorIsChecked(text: String, offset: Int, message: String) {
    #expect(PlanText.with(\.mirror, text).problems == ["10:\(8 + offset): \(message)"])
  }

  @Test func onlyFullValidationIsSupported() {
    #expect(
      PlanText.with(\.validate, "{ mode: sample }").problems == [
        "11:19: validation mode `sample` is not supported: use `full`"
      ])
  }

  @Test(
    arguments: [
      (
        "strategy: togehter", 11,
        "`strategy` is one of together, consumers-first, not `togehter`; did you mean `together`?"
      ),
      ("stability: 0s", 12, "`stability` has to be at least 1ms, not `0s`"),
      ("soak: 30", 7, "`soak` has to be a duration such as 250ms, 30s, 5m, 2h or 1d, not `30`"),
      (
        "soak: 30min", 7,
        "`soak` has to be a duration such as 250ms, 30s, 5m, 2h or 1d, not `30min`"
      ),
      ("soak: -1s", 7, "`soak` has to be a duration such as 250ms, 30s, 5m, 2h or 1d, not `-1s`"),
      ("soak: 99999d", 7, "`soak` has to lie between 1ms and 3650d, not `99999d`"),
      ("soak: 0.1ms", 7, "`soak` has to lie between 1ms and 3650d, not `0.1ms`"),
      ("gates: {}", 8, "`gates` has to be a list"),
      (
        "gates: [4]", 9,
        "a gate has to be a mapping with the keys lagBelow, drainWithin, approvals, validated, window, exec, http, manual, for, timeout"
      ),
      (
        "gates: [{}]", 9,
        "a gate needs exactly one of lagBelow, drainWithin, approvals, validated, window, exec, http, manual"
      ),
      ("gates: [{ lagbelow: 0 }]", 11, "a gate has no key `lagbelow`; did you mean `lagBelow`?"),
      (
        "gates: [{ window: night }]", 19,
        "`window` has to be a mapping with the keys days, from, to, zone"
      ),
      (
        "gates: [{ window: { zone: Europe/Berln } }]", 27,
        "`zone` has to be a time zone such as Europe/Berlin or UTC, not `Europe/Berln`; did you mean `Europe/Berlin`?"
      ),
      (
        "gates: [{ window: { zone: UTC, from: 9pm } }]", 38,
        "`from` has to be a time such as 22:00, not `9pm`"
      ),
      (
        "gates: [{ window: { zone: UTC, from: 09:00, to: 09:00 } }]", 49,
        "`from` and `to` are the same: leave both out for whole days"
      ),
      (
        "gates: [{ window: { zone: UTC, days: [mon, tues] } }]", 44,
        "`days` is one of mon, tue, wed, thu, fri, sat, sun, not `tues`; did you mean `tue`?"
      ),
      ("gates: [{ window: { from: 09:00 } }]", 19, "`window` needs `zone`"),
      (
        "gates: [{ validated: 1 }]", 22,
        "`validated` has to be a duration such as 250ms, 30s, 5m, 2h or 1d, not `1`"
      ),
      (
        "gates: [{ manual: look, timeout: 3s }]", 34,
        "`timeout` goes with `exec` and `http` only"
      ),
      ("after: [s]", 9, "stages `s` and `s` would wait for each other"),
      ("after: [wave]", 9, "there is no stage `wave`"),
      (
        "rollbackOn: [{ groupLagAbove: 1, grace: soon }]", 41,
        "`grace` has to be a duration such as 250ms, 30s, 5m, 2h or 1d, not `soon`"
      ),
      ("gates: [{ approvals: 0 }]", 22, "`approvals` has to be at least 1, not 0"),
      ("gates: [{ approvals: 1, for: 3s }]", 30, "`for` goes with `lagBelow` only"),
      (
        "gates: [{ approvals: 1, drainWithin: 3s }]", 9,
        "a gate needs exactly one of lagBelow, drainWithin, approvals, validated, window, exec, http, manual"
      ),
      (
        "strays: aler", 9,
        "`strays` is one of alert, forward, rollback, not `aler`; did you mean `alert`?"
      ),
      ("extendRetention: yes", 18, "`extendRetention` has to be true or false"),
      ("rollbackOn: [{ for: 3s }]", 14, "a rollback trigger needs `groupLagAbove`"),
      (
        "unfence: { acl: allow }", 12,
        "`unfence` has no key `acl`; known are exec, http, manual, timeout"
      ),
    ])
  func theValuesOfAStageAreChecked(text: String, offset: Int, message: String) {
    let plan = PlanText.with(
      \.stage,
      "{ stage: s, \(text), topics: [\"orders.*\"], fence: { exec: [f] }, switch: { exec: [s] } }")
    #expect(plan.problems == ["13:\(16 + offset): \(message)"])
  }

  @Test(
    arguments: [
      (
        "{ stage: s }",
        [
          "13:5: a stage needs `topics`", "13:5: a stage needs `fence`",
          "13:5: a stage needs `switch`",
        ]
      ),
      (
        "{ stage: s, topics: [], fence: { acl: deny-write }, switch: { exec: [s] } }",
        [
          "13:25: `topics` needs at least one entry",
          "13:36: an `acl` fence needs `principals`",
        ]
      ),
      (
        "{ stage: s, topics: [payments], groups: [biling], fence: { exec: [f] }, switch: { exec: [s] } }",
        [
          "13:26: no topic rule covers `payments`",
          "13:46: no group rule covers `biling`; did you mean `billing`?",
        ]
      ),
      (
        "{ stage: s, topics: [\"orders.*\", orders.a, \"orders.*\"], fence: { exec: [f] }, switch: { exec: [s] } }",
        ["13:48: `orders.*` stands in line 13 already: a topic moves once"]
      ),
      (
        "{ stage: s, topics: [orders.a], fence: { exec: [f] }, switch: { exec: [s] } }\n"
          + "  - { stage: s, topics: [orders.a], fence: { exec: [f] }, switch: { exec: [s] } }",
        [
          "14:14: there is a stage `s` already, in line 13",
          "14:26: `orders.a` stands in line 13 already: a topic moves once",
        ]
      ),
    ])
  func stagesAreCheckedAgainstRulesAndEachOther(text: String, expected: [String]) {
    #expect(PlanText.with(\.stage, text).problems == expected)
  }

  @Test(
    arguments: [
      ("acl: deny-write, principals: [User:a, \"User:CN=b:c\"]", []),
      (
        "acl: deny-writes, principals: [User:a]",
        ["13:53: `acl` is one of deny-write, not `deny-writes`; did you mean `deny-write`?"]
      ),
      (
        "acl: deny-write, principals: [orders, \"User:\", User:a, User:a]",
        [
          "13:78: `principals`: one is TYPE:NAME, such as User:orders, not `orders`",
          "13:86: `principals`: one is TYPE:NAME, such as User:orders, not `User:`",
          "13:103: `principals` names `User:a` twice",
        ]
      ),
      (
        "acl: deny-write, principals: []",
        ["13:77: `principals` needs at least one entry"]
      ),
      (
        "acl: deny-write, principals: [User:a], timeout: 3s",
        [
          "13:87: an `acl` fence has no key `timeout`; known are acl, principals"
        ]
      ),
    ])
  func anAclFenceIsChecked(text: String, expected: [String]) {
    let plan = PlanText.with(
      \.stage, "{ stage: s, topics: [\"orders.*\"], fence: { \(text) }, switch: { exec: [s] } }")
    #expect(plan.problems == expected)
  }

  @Test func anAclFenceIsLiftedByFerryAlone() {
    let plan = PlanText.with(
      \.stage,
      "{ stage: s, topics: [orders.a], fence: { acl: deny-write, principals: [User:a] }, unfence: { exec: [u] }, switch: { exec: [s] } }"
    )
    #expect(
      plan.problems == [
        "13:96: `unfence` does not go with an `acl` fence: Ferry removes its own rules itself"
      ])
  }

  @Test(arguments: [(200, 35, true), (35, 200, true), (200, 36, false), (36, 200, false)])
  func theCanaryTopicsNameHasToFit(migration: Int, stage: Int, isValid: Bool) {
    var plan = PlanText()
    plan.head = "ferry: v1\nmigration: \(String(repeating: "m", count: migration))"
    plan.stage.replace("stage: s", with: "stage: \(String(repeating: "s", count: stage))")
    #expect(
      plan.problems
        == (isValid
          ? []
          : [
            "13:14: `migration` and `stage` together may have 235 characters at most: "
              + "Ferry names a topic after them"
          ]))
  }

  @Test func aRuleThatCannotBeReadIsNotAlsoSaidToBeMissing() {
    #expect(
      PlanText.with(\.topic, "{ match: \"orders(\", owner: t }").problems == [
        "7:14: `orders(` is not a regular expression: expected ')'"
      ])
  }

  @Test func allProblemsOfAFileAreToldInOrder() {
    var plan = PlanText()
    plan.head = "ferry: v1\nmigration: m\nchanged: x"
    plan.source = "{ bootstrap: [a] }"
    plan.topic = "{ match: \"orders.*\" }"
    plan.mirror = "{ rate: 5 }"
    plan.stage = "{ stage: s, topics: [\"orders.*\"], switch: { exec: [] } }"
    #expect(
      plan.problems == [
        "3:1: a plan has no key `changed`; did you mean `change`?", "5:25: `a` is not host:port",
        "8:5: a topic rule needs `owner`",
        "11:17: `rate` has to be a rate such as 50MiB/s, not `5`", "14:5: a stage needs `fence`",
        "14:55: `exec` needs a program",
      ])
  }

  @Test func anErrorIsOneLineAProblemAndNamesARunbookPage() throws {
    let error = #expect(throws: PlanError.self) {
      try MigrationPlan.parse("ferry: v1\nmigration: m\nstagse: []", file: "dir/p.yaml")
    }
    let lines = try #require(error).summary.split(separator: "\n")
    #expect(
      lines == [
        "dir/p.yaml:1:1: a plan needs `clusters`", "dir/p.yaml:1:1: a plan needs `topics`",
        "dir/p.yaml:3:1: a plan has no key `stagse`; did you mean `stages`?",
      ])
    #expect(error?.runbook == "plan.md")
    #expect(error?.hint.isEmpty == false)
  }

  @Test func aFileThatIsNotThereIsSaidSo() {
    #expect(throws: PlanError.unreadable(path: "/no/such.yaml", reason: "no such file")) {
      try MigrationPlan.load(path: "/no/such.yaml")
    }
  }
}
