internal import Crypto
internal import Foundation

extension MigrationPlan {
  /// What the digest is taken of: the plan's meaning as JSON with sorted keys, defaults filled in.
  /// Secrets are in it as references.
  var canonicalForm: Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
      return try encoder.encode(body)
    } catch {
      preconditionFailure("text, integers and durations can be encoded: \(error)")
    }
  }

  /// `sha256:` and 64 hexadecimal digits over the plan's meaning: key order, comments and the spelling
  /// of equal values do not matter; every other change does.
  package var digest: String {
    "sha256:"
      + SHA256.hash(data: canonicalForm).map { byte in
        let digits = String(byte, radix: 16)
        return digits.count == 1 ? "0" + digits : digits
      }.joined()
  }
}
