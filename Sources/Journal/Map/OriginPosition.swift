package import KafkaModel

/// Where a direction of copying goes on after a stop.
package struct OriginPosition: Hashable, Sendable {
  /// Which copy goes on.
  package var direction: Direction
  /// The next offset to read on the direction's origin log. It may lie beyond the map's end: there are
  /// only holes in between.
  package var position: Offset

  package init(direction: Direction, position: Offset) {
    self.direction = direction
    self.position = position
  }
}
