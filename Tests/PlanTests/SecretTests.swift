import Foundation
import KafkaModel
import Testing

@testable import Plan

@Suite struct SecretTests {
  @Test(
    arguments: [
      "sasl.password", "ssl.key.password", "ssl.keystore.password", "ssl.key.pem",
      "sasl.oauthbearer.client.secret", "sasl.oauthbearer.config", "sasl.jaas.config",
      "SASL.Password",
    ])
  func aSecretHasToBeAReferenceAndIsNotRepeated(property: String) {
    let plan = PlanText.with(
      \.source, "{ bootstrap: [a:9092], client: { \(property): hunter2 } }")
    #expect(
      plan.problems == [
        "4:\(46 + property.utf8.count): `\(property)` is a secret: refer to it as env:NAME or "
          + "file:PATH instead of writing it down"
      ])
  }

  @Test(
    arguments: [
      "sasl.password: [hunter2]", "sasl.password: { hunter2: a }", "sasl.password: \"hunter2\\q\"",
      "sasl.password: hunter2, sasl.password: hunter2", "sasl.password: hunter2 }", "hunter2",
    ])
  func noProblemRepeatsASecret(text: String) {
    let problems = PlanText.with(
      \.source, "{ bootstrap: [a:9092], client: { \(text) } }"
    ).problems
    #expect(!problems.isEmpty)
    #expect(!problems.contains { $0.contains("hunter2") } || text == "hunter2")
  }

  @Test func aReferenceNeedsAName() {
    let plan = PlanText.with(
      \.source, "{ bootstrap: [a:9092], client: { a: \"env:\", b: \"file:\" } }")
    #expect(
      plan.problems == [
        "4:47: `a` refers to nothing behind `env:`", "4:58: `b` refers to nothing behind `file:`",
      ])
  }

  @Test func referencesAreResolvedWhereTheyAreNeeded() throws {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent(
      "ferry-plan-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    try Data(" hunter2 \r\n\n".utf8).write(to: directory.appendingPathComponent("secret"))
    try Data("\n".utf8).write(to: directory.appendingPathComponent("empty"))

    func resolve(_ value: PropertyValue) throws -> String {
      try value.resolve(
        property: "sasl.password", directory: directory.path,
        environment: ["PASSWORD": "hunter3", "EMPTY": ""])
    }
    #expect(try resolve(.literal("x")) == "x")
    #expect(try resolve(.environment("PASSWORD")) == "hunter3")
    #expect(try resolve(.file("secret")) == " hunter2 ")
    #expect(try resolve(.file(directory.path + "/secret")) == " hunter2 ")
    for missing in [
      PropertyValue.environment("NONE"), .environment("EMPTY"), .file("none"), .file("empty"),
    ] {
      #expect(
        throws: PlanError.secretMissing(
          reference: missing.reference ?? "", property: "sasl.password")
      ) { try resolve(missing) }
    }
  }

  @Test func theDigestAndTheDescriptionHoldReferencesOnly() throws {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent(
      "ferry-plan-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    let path = directory.appendingPathComponent("p.yaml").path
    let secret = directory.appendingPathComponent("secret")
    let text = PlanText.with(
      \.source, "{ bootstrap: [a:9092], client: { sasl.password: \"file:secret\" } }"
    ).text
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))

    try Data("hunter2".utf8).write(to: secret)
    let plan = try MigrationPlan.load(path: path)
    #expect(
      try plan.cluster(.source).resolvedClient(directory: plan.directory) == [
        "sasl.password": "hunter2"
      ])
    let canonical = String(decoding: plan.canonicalForm, as: UTF8.self)
    #expect(canonical.contains("\"secret\""))
    #expect(!canonical.contains("hunter2"))
    #expect(!"\(plan)".contains("hunter2"))

    try Data("hunter3".utf8).write(to: secret)
    #expect(try MigrationPlan.load(path: path).digest == plan.digest)
  }

  @Test(arguments: ["env:FERRY_TEST_NO_SUCH_VARIABLE", "file:no/such/file"])
  func aClusterWhoseSecretIsMissingIsNotReached(reference: String) throws {
    let plan = try PlanText.with(
      \.target, "{ bootstrap: [b:9092], client: { a: b, sasl.password: \"\(reference)\" } }"
    ).parsed()
    #expect(throws: PlanError.secretMissing(reference: reference, property: "sasl.password")) {
      try plan.cluster(.target).resolvedClient(directory: plan.directory)
    }
    #expect(try plan.cluster(.source).resolvedClient(directory: plan.directory) == [:])
  }

  @Test func aMissingSecretIsNamedByItsReference() {
    let error = PlanError.secretMissing(reference: "env:SRC_PW", property: "sasl.password")
    #expect(
      error.summary
        == "the secret for client property sasl.password, env:SRC_PW, is not there or is empty")
    #expect(error.runbook == "plan.md")
  }
}
