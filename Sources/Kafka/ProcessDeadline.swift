internal import Glibc

/// A moment at which the kernel ends this process, however it stands then, unless the moment is moved
/// on before.
///
/// Whoever may write to a cluster only until a certain time needs this. A producer's own threads send
/// what is queued as soon as they run: a process that was stopped (SIGSTOP, a frozen container, a
/// swapped-out host) and goes on again would send before any check of its own. The kernel's SIGKILL
/// reaches a stopped process, too (`signal(7)`), so not one instruction runs after the deadline.
@safe package final class ProcessDeadline: @unchecked Sendable {
  /// The first timer of a process has the number 0, which is no pointer.
  private let timer: timer_t?

  /// A point in time on a clock that goes on while the process is stopped and while the host sleeps.
  package struct Moment: Hashable, Sendable {
    fileprivate let seconds: Int
    fileprivate let nanoseconds: Int

    package static var now: Moment {
      var time = timespec()
      unsafe clock_gettime(CLOCK_BOOTTIME, &time)
      return Moment(seconds: time.tv_sec, nanoseconds: time.tv_nsec)
    }

    /// Whole seconds later.
    package func plus(seconds: Int) -> Moment {
      Moment(seconds: self.seconds + seconds, nanoseconds: nanoseconds)
    }
  }

  /// Sets no deadline yet. `nil` where the system has no timer left.
  package init?() {
    var event = unsafe sigevent()
    unsafe event.sigev_notify = Int32(SIGEV_SIGNAL)
    unsafe event.sigev_signo = SIGKILL
    var timer: timer_t?
    guard unsafe timer_create(CLOCK_BOOTTIME, &event, &timer) == 0 else { return nil }
    unsafe self.timer = timer
  }

  deinit { unsafe timer_delete(timer) }

  /// Moves the deadline. One that has passed already ends the process here and now.
  package func set(_ moment: Moment) {
    var value = itimerspec()
    value.it_value = timespec(tv_sec: moment.seconds, tv_nsec: moment.nanoseconds)
    unsafe timer_settime(timer, Int32(TIMER_ABSTIME), &value, nil)
  }

  /// Lets the process live for as long as it likes.
  package func lift() {
    var value = itimerspec()
    unsafe timer_settime(timer, 0, &value, nil)
  }
}
