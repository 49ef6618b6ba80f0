import Crypto
import Foundation

/// The hash chain over the events.
///
/// Hashed are, in this order: the hash before (32 bytes); the sequence and the time in milliseconds
/// (64-bit big-endian each); the stage, the kind and the payload, each as its length in UTF-8 bytes
/// (64-bit big-endian) and those bytes. A missing stage is the length -1 without bytes. The chain
/// begins with the hash of `ferry journal` and the migration's name, each with its length.
struct EventChain {
  private(set) var hash: Data

  init(migration: String) {
    var state = SHA256()
    Self.add("ferry journal", to: &state)
    Self.add(migration, to: &state)
    hash = Data(state.finalize())
  }

  /// Goes on behind the event that has `hash`.
  init(after hash: Data) { self.hash = hash }

  mutating func append(
    sequence: Int64, milliseconds: Int64, stage: String?, kind: String, payload: String
  ) {
    var state = SHA256()
    state.update(data: hash)
    Self.add(sequence, to: &state)
    Self.add(milliseconds, to: &state)
    if let stage { Self.add(stage, to: &state) } else { Self.add(-1, to: &state) }
    Self.add(kind, to: &state)
    Self.add(payload, to: &state)
    hash = Data(state.finalize())
  }

  private static func add(_ text: String, to state: inout SHA256) {
    let bytes = Data(text.utf8)
    add(Int64(bytes.count), to: &state)
    state.update(data: bytes)
  }

  private static func add(_ number: Int64, to state: inout SHA256) {
    state.update(data: Data((0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * $0)) }))
  }
}

extension Data {
  var hexadecimal: String {
    reduce(into: "") { text, byte in
      text += byte < 16 ? "0" : ""
      text += String(byte, radix: 16)
    }
  }
}
