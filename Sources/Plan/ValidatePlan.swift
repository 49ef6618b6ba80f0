/// How records are compared: all of them, always.
package struct ValidatePlan: Hashable, Sendable, Codable {
  /// Read from each side; `nil` is unlimited.
  package var bytesPerSecond: Int64?
}
