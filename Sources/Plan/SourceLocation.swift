/// A place in a plan file. Lines and columns count from 1; a column is a Unicode scalar.
package struct SourceLocation: Hashable, Sendable, Codable, CustomStringConvertible {
  package let file: String
  package let line: Int
  package let column: Int

  package init(file: String, line: Int, column: Int) {
    self.file = file
    self.line = line
    self.column = column
  }

  /// `file:line:column`, the form that editors follow.
  package var description: String { "\(file):\(line):\(column)" }
}
