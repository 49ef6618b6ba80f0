#if DEBUG
  import ArgumentParser
  import Cutover
  import Engine
  import KafkaModel

  /// For the crash tests: every way that a stage can take, and where on it an engine can be killed.
  struct CrashPointsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "crash-points",
      abstract:
        "Print every way that a stage can take and the places to kill an engine at, as JSON.",
      shouldDisplay: false)

    @Option(help: "Which attempt of a stage is meant.") var attempt = 1
    @Option(help: "What its fence is: hook or acl.") var fence = CrashPoints.Fence.hook

    func run() throws {
      let ways = try Strategy.allCases.flatMap { try CutoverMachine.ways($0) }
      try Console.json(
        Places(
          ways: ways.map { Way($0, attempt: attempt, fence: fence) }, soaking: CrashPoints.soaking,
          again: CrashPoints.again, recovery: CrashPoints.recovery))
    }

    private struct Places: Encodable {
      let ways: [Way]
      let soaking: [String]
      let again: [String]
      let recovery: [String]
    }

    private struct Way: Encodable {
      let strategy: Strategy
      let there: [Leg]
      let phase: Phase
      let wish: String
      let wishPoints: [String]
      /// What would come next without the wish.
      let next: Leg?
      let after: [Leg]
      let end: Phase

      init(_ way: StageWay, attempt: Int, fence: CrashPoints.Fence) {
        strategy = way.strategy
        var begun: Set<Step> = []
        func leg(_ phase: Phase, _ step: Step) -> Leg {
          let points = CrashPoints.of(
            step, way.strategy, begun: begun, attempt: attempt, fence: fence)
          begun.insert(step)
          return Leg(phase: phase, step: step, points: points)
        }
        there = way.there.map { leg($0.phase, $0.step) }
        phase = way.phase
        wish = way.wish.rawValue
        wishPoints = CrashPoints.of(way.wish)
        // It has begun when the wish is heard.
        next = way.phase.nextStep(way.strategy).map { leg(way.phase, $0) }
        after = way.after.map { leg($0.phase, $0.step) }
        end = way.end
      }
    }

    private struct Leg: Encodable {
      let phase: Phase
      let step: Step
      let points: [String]
    }
  }

  extension CrashPoints.Fence: ExpressibleByArgument {}
#endif
