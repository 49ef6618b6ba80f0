// swift-tools-version: 6.3
import PackageDescription

// Imports point downwards only; `Tests/run` builds with
// `--explicit-target-dependency-import-check error`, so this file is the architecture.
let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .treatAllWarnings(as: .error),
  .strictMemorySafety(),
]

let package = Package(
  name: "ferry",
  products: [.executable(name: "ferry", targets: ["ferry"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
    .package(url: "https://github.com/apple/swift-http-types", exact: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
    .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
    .package(url: "https://github.com/apple/swift-system", exact: "1.8.1"),
    .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
    .package(
      url: "https://github.com/hummingbird-project/hummingbird", exact: "2.28.1", traits: []),
    .package(url: "https://github.com/hummingbird-project/swift-mustache", exact: "2.1.1"),
    .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    .package(url: "https://github.com/swift-server/async-http-client", exact: "1.37.0"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", exact: "1.0.2"),
  ],
  targets: [
    .systemLibrary(
      name: "CRdKafka", pkgConfig: "rdkafka", providers: [.apt(["librdkafka-dev"])]),
    .systemLibrary(name: "CXXHash", providers: [.apt(["libxxhash-dev"])]),
    .target(name: "KafkaModel", swiftSettings: strict),
    .target(
      name: "Kafka",
      dependencies: [
        "CRdKafka", "CXXHash", "KafkaModel", .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: strict),
    .target(
      name: "Plan",
      dependencies: [
        "KafkaModel", "Yams", .product(name: "Crypto", package: "swift-crypto"),
      ],
      swiftSettings: strict),
    .target(
      name: "Journal",
      dependencies: [
        "KafkaModel", .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: strict),
    .target(
      name: "Mirror",
      dependencies: ["Kafka", "KafkaModel", .product(name: "Logging", package: "swift-log")],
      swiftSettings: strict),
    .target(name: "Offsets", dependencies: ["Kafka", "KafkaModel"], swiftSettings: strict),
    .target(name: "Validation", dependencies: ["Kafka", "KafkaModel"], swiftSettings: strict),
    .target(name: "Cutover", dependencies: ["KafkaModel"], swiftSettings: strict),
    .target(name: "Reports", dependencies: ["KafkaModel"], swiftSettings: strict),
    .target(
      name: "Engine",
      dependencies: [
        "Cutover", "Journal", "Kafka", "KafkaModel", "Mirror", "Offsets", "Plan", "Reports",
        "Validation",
        .product(name: "AsyncHTTPClient", package: "async-http-client"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "Subprocess", package: "swift-subprocess"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: strict),
    .target(
      name: "Dashboard",
      dependencies: [
        "Cutover", "Engine",
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Mustache", package: "swift-mustache"),
        .product(name: "NIOCore", package: "swift-nio"),
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "ferry",
      dependencies: [
        "Cutover", "Dashboard", "Engine", "Journal", "Kafka", "KafkaModel", "Plan", "Reports",
        "Validation",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: strict),
    .target(
      name: "TestSupport",
      dependencies: [
        "Kafka", "KafkaModel", "Mirror", .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "KafkaModelTests", dependencies: ["KafkaModel"], swiftSettings: strict),
    .testTarget(
      name: "CutoverTests", dependencies: ["Cutover", "KafkaModel"], swiftSettings: strict),
    .testTarget(
      name: "KafkaTests",
      dependencies: [
        "Kafka", "KafkaModel", "TestSupport", .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "MirrorTests", dependencies: ["Kafka", "KafkaModel", "Mirror", "TestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "EngineTests", dependencies: ["Engine", "Journal", "Kafka", "KafkaModel", "Mirror"],
      swiftSettings: strict),
    .testTarget(
      name: "OffsetsTests", dependencies: ["KafkaModel", "Offsets"], swiftSettings: strict),
    .testTarget(
      name: "ValidationTests",
      dependencies: ["Kafka", "KafkaModel", "TestSupport", "Validation"], swiftSettings: strict),
    .testTarget(
      name: "PlanTests", dependencies: ["KafkaModel", "Plan"], swiftSettings: strict),
    .testTarget(
      name: "JournalTests",
      dependencies: ["Journal", "KafkaModel", .product(name: "GRDB", package: "GRDB.swift")],
      swiftSettings: strict),
  ],
  swiftLanguageModes: [.v6]
)
