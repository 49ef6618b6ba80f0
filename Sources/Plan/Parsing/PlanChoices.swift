/// Everything that rules declare and stages list, with places, for the checks between them.
struct PlanChoices {
  enum Kind: String, CaseIterable {
    case topic, group
  }

  /// A selector and where it stands.
  struct Choice {
    let kind: Kind
    let selector: Selector
    let location: SourceLocation
  }

  /// The selectors of rules, in order.
  var rules: [Choice] = []
  /// The entries of the stages' lists, in order.
  var entries: [Choice] = []
  /// What stages wait for, by name.
  var dependencies: [(stage: String, on: String, location: SourceLocation)] = []
  var stages: [(name: String, location: SourceLocation)] = []
  /// Kinds for which a rule could not be read: what stages list cannot be compared then.
  var unreadable: Set<Kind> = []
}
