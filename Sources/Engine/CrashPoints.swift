#if DEBUG
  package import Cutover
  package import KafkaModel

  /// The places at which ``Failpoint`` can end the engine, in the order in which a stage comes by: what
  /// the crash tests kill at. The steps are the machine's own (`CutoverMachine.ways`), and what each does
  /// in its middle stands in a switch without a default, so that a new one has to say.
  package enum CrashPoints {
    /// What keeps producers from writing.
    package enum Fence: String, Sendable, CaseIterable {
      case hook
      case acl
    }

    /// Where a step can be interrupted: before it acts, in its middle, and when it has acted and nobody
    /// has noted that.
    ///
    /// - Parameters:
    ///   - begun: the steps that this attempt of the stage has begun before.
    ///   - attempt: 1 for the first one.
    package static func of(
      _ step: Step, _ strategy: Strategy, begun: Set<Step>, attempt: Int, fence: Fence
    ) -> [String] {
      ["begin:\(step.rawValue)"]
        + middles(step, strategy, begun, attempt, fence).map { middle in
          switch middle {
          case .hook(let action, let cluster): "hook:\(action.rawValue):\(cluster.rawValue)"
          case .running(let action, let cluster): "running:\(action.rawValue):\(cluster.rawValue)"
          case .checkpoint(let when): "map:\(when)"
          case .inside(let what): "during:\(step.rawValue):\(what)"
          }
        } + ["act:\(step.rawValue)"]
    }

    /// Where a stage that soaks can be interrupted.
    package static let soaking = ["done:observe", "map:before", "map:after"]

    /// Around the journalling of a person's wish.
    package static func of(_ wish: StageWay.Wish) -> [String] {
      ["wish:\(wish.rawValue)", "wished:\(wish.rawValue)"]
    }

    /// Around the journalling of a new attempt.
    package static let again = ["wish:reopen", "wished:reopen"]

    /// What an engine comes by when it takes a migration up.
    package static let recovery = Recovery.allCases.map(\.name)

    enum Recovery: String, CaseIterable {
      /// It has the lease, and has read nothing.
      case leased
      /// It has read the journal and looked at the clusters.
      case surveyed
      /// A stage was taken up; nothing runs yet.
      case resumed
      /// The mirrors have been told to run.
      case mirrored

      var name: String { "recover:\(rawValue)" }
    }

    private enum Middle {
      /// While a hook runs. The hook itself ends the engine there: see `Tests/EndToEnd`.
      case running(HookCall.Action, ClusterRole)
      /// A hook has ended well.
      case hook(HookCall.Action, ClusterRole)
      /// Around the storing of offset maps.
      case checkpoint(String)
      case inside(String)
    }

    private static func calls(_ action: HookCall.Action, _ cluster: ClusterRole) -> [Middle] {
      [.running(action, cluster), .hook(action, cluster)]
    }

    private static func raising(_ cluster: ClusterRole, _ fence: Fence) -> [Middle] {
      switch fence {
      case .hook: calls(.fence, cluster)
      case .acl: [.inside("rulesNoted"), .inside("canaryDenied"), .inside("denied")]
      }
    }

    private static func lifting(_ cluster: ClusterRole, _ fence: Fence) -> [Middle] {
      switch fence {
      case .hook: calls(.unfence, cluster) + [.inside("unfenced")]
      case .acl: [.inside("allowed"), .inside("unfenced")]
      }
    }

    private static func middles(
      _ step: Step, _ strategy: Strategy, _ begun: Set<Step>, _ attempt: Int, _ fence: Fence
    ) -> [Middle] {
      switch step {
      case .provision: [.inside("created")]
      case .mirror: [.inside("armed")]
      case .validate: [.inside("compared")]
      // It waits, and changes nothing.
      case .catchUp: []
      // They wait for people; the mirror goes on meanwhile.
      case .approve, .follow: [.checkpoint("before"), .checkpoint("after")]
      case .fence: [.inside("saved")] + raising(.source, fence)
      case .drain: [.inside("drained")]
      case .seal: [.inside("compared")]
      case .translate, .carryGroups: calls(.pause, .source) + [.inside("written")]
      case .armReverse: [.inside("canary"), .inside("armed"), .inside("sent")]
      case .moveGroups: calls(.resume, .target)
      case .switchClients:
        (attempt > 1 ? lifting(.target, fence) : []) + calls(.switchClients, .target)
          + (strategy == .together ? calls(.resume, .target) : [])
      case .observe: [.inside("seen")]
      case .finalize: [.inside("restored")]
      case .withdraw:
        (begun.isDisjoint(with: [.translate, .carryGroups]) ? [] : calls(.resume, .source))
          + (begun.contains(.fence) && !begun.contains(.recallGroups)
            ? lifting(.source, fence) + [.inside("restored")] : [])
      case .recallGroups:
        (begun.contains(.fence) ? lifting(.source, fence) + [.inside("restored")] : [])
          + calls(.pause, .target) + [.inside("written")]
      case .fenceTarget: raising(.target, fence)
      case .drainReverse: [.inside("drained")]
      case .sealReverse: [.inside("compared")]
      case .translateBack: calls(.pause, .target) + [.inside("written")]
      case .returnClients: calls(.switchClients, .source) + calls(.resume, .source)
      case .release: lifting(.source, fence) + [.inside("restored")]
      }
    }
  }
#endif
