/// In which order a stage's clients move.
package enum Strategy: String, Hashable, Sendable, Codable, CaseIterable {
  /// Producers are fenced, then all clients move.
  case together
  /// Groups move while producers go on writing to the source; producers follow when people say so.
  case consumersFirst = "consumers-first"
}
