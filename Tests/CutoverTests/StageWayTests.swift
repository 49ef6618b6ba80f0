import Cutover
import KafkaModel
import Testing

/// The crash tests walk these ways: what is missing here is never killed there.
@Suite("Ways of a stage")
struct StageWayTests {
  @Test("No phase and no step escapes them")
  func complete() throws {
    let ways = try Strategy.allCases.flatMap { try CutoverMachine.ways($0) }
    let legs = ways.flatMap { $0.there + $0.after }
    #expect(Set(legs.map(\.step)) == Set(Step.allCases))
    #expect(
      Set(legs.map(\.phase)).union(ways.map(\.end)) == Set(Phase.allCases).subtracting([.soaking]))
    #expect(ways.contains { $0.phase == .soaking })
  }

  @Test("Each phase that has a way back is turned back from", arguments: Strategy.allCases)
  func everyTurn(_ strategy: Strategy) throws {
    let turns = try CutoverMachine.ways(strategy).filter { $0.wish == .rollback }
    let expected = strategy.phases.filter {
      ![WayBack.underway, .none].contains($0.wayBack(strategy))
    }
    #expect(
      turns.map(\.phase).sorted { $0.rawValue < $1.rawValue }
        == expected.sorted { $0.rawValue < $1.rawValue })
    #expect(turns.allSatisfy { $0.end == .rolledBack })
  }

  @Test("Each is what a machine does when it is asked", arguments: Strategy.allCases)
  func replay(_ strategy: Strategy) throws {
    for way in try CutoverMachine.ways(strategy) {
      var machine = CutoverMachine(strategy)
      for leg in way.there {
        #expect(machine.phase == leg.phase)
        _ = try machine.apply(.done(leg.step))
      }
      #expect(machine.phase == way.phase)
      _ = try machine.apply(way.wish == .rollback ? .rollback(reason: "late") : .finalize)
      for leg in way.after {
        #expect(machine.phase == leg.phase)
        _ = try machine.apply(.done(leg.step))
      }
      #expect(machine.phase == way.end)
      #expect(machine.step == nil)
    }
  }
}
