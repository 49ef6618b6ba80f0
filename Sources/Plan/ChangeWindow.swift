package import Foundation

/// Hours of the week in which a cutover may begin, on the clocks of one time zone.
package struct ChangeWindow: Hashable, Sendable, Codable {
  package enum Day: String, Hashable, Sendable, Codable, CaseIterable {
    case mon, tue, wed, thu, fri, sat, sun
  }

  /// On which the window opens.
  package let days: [Day]
  /// Minutes after midnight.
  package let from: Int
  /// Minutes after midnight, of the next day where it is not after `from`.
  package let to: Int
  /// As the time zone database names it: `Europe/Berlin`.
  package let zone: String

  /// Whether the window is open at `date`, and what the clocks say there; `nil` where this host does not
  /// know the time zone.
  package func look(at date: Date) -> (isOpen: Bool, clock: String)? {
    guard let zone = TimeZone(identifier: zone) else { return nil }
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = zone
    let parts = calendar.dateComponents([.weekday, .hour, .minute], from: date)
    guard let weekday = parts.weekday, let hour = parts.hour, let minute = parts.minute else {
      return nil
    }
    // Foundation's week begins on Sunday, with 1.
    let today = Day.allCases[(weekday + 5) % 7]
    let yesterday = Day.allCases[(weekday + 4) % 7]
    let now = hour * 60 + minute
    let isOpen =
      from < to
      ? days.contains(today) && now >= from && now < to
      : (days.contains(today) && now >= from) || (days.contains(yesterday) && now < to)
    return (isOpen, "\(today.rawValue) \(Self.time(now))")
  }

  /// For reports: `mon, tue 22:00 to 04:00 Europe/Berlin`.
  package var summary: String {
    "\(days.map(\.rawValue).joined(separator: ", ")) \(Self.time(from)) to \(Self.time(to)) \(zone)"
  }

  /// `HH:MM`.
  static func time(_ minutes: Int) -> String {
    let digits = { (number: Int) in number < 10 ? "0\(number)" : "\(number)" }
    return "\(digits(minutes / 60)):\(digits(minutes % 60))"
  }
}
