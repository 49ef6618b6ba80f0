internal import CRdKafka
internal import Foundation

/// Lets one thread wait for several queues of librdkafka at once (`rd_kafka_queue_io_event_enable`): a
/// queue that was empty writes to an eventfd when something comes.
///
/// Whoever waits has to have emptied the queues before; what was left there wakes nobody.
@safe package final class WakeUp: Sendable {
  private let descriptor = ferry_eventfd()

  package init() {}

  deinit { close(descriptor) }

  /// Waits until a queue has something, or `milliseconds` have gone by.
  ///
  /// Returns: whether a queue had something.
  @discardableResult
  package func wait(milliseconds: Int32) -> Bool {
    var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard unsafe poll(&poller, 1, milliseconds) > 0 else { return false }
    var count: UInt64 = 0
    _ = unsafe read(descriptor, &count, MemoryLayout<UInt64>.size)
    return true
  }

  /// Wakes whoever waits, or waits next. From any thread.
  package func wake() {
    var one: UInt64 = 1
    _ = unsafe write(descriptor, &one, MemoryLayout<UInt64>.size)
  }

  /// Lets `queue` wake this. It has to be detached before this ends.
  func attach(_ queue: OpaquePointer) {
    // librdkafka keeps a copy of what is to be written (`rd_kafka_q_io_event_enable`).
    var one: UInt64 = 1
    unsafe rd_kafka_queue_io_event_enable(queue, descriptor, &one, MemoryLayout<UInt64>.size)
  }

  static func detach(_ queue: OpaquePointer) {
    unsafe rd_kafka_queue_io_event_enable(queue, -1, nil, 0)
  }
}
