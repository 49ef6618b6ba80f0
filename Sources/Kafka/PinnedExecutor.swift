internal import Dispatch
internal import Foundation
internal import Synchronization

/// Runs an actor's jobs on one thread of its own, so that the actor's methods may block in librdkafka
/// without starving other tasks. The thread ends when the last actor that uses it is gone.
package final class PinnedExecutor: SerialExecutor {
  private let loop = JobLoop()

  /// Starts the thread. `name` shows in debuggers and `top -H`; the kernel keeps 15 characters.
  package init(name: String) {
    loop.state.withLock { $0.executor = self }
    let thread = Thread { [loop] in
      // `Thread.name` reaches the kernel only by chance: the thread may run before it knows itself.
      try? name.write(toFile: "/proc/thread-self/comm", atomically: false, encoding: .utf8)
      loop.run()
    }
    thread.start()
  }

  deinit { loop.stop() }

  package func enqueue(_ job: consuming ExecutorJob) {
    loop.enqueue(UnownedJob(job))
  }
}

/// The thread's side. Holds the executor weakly between jobs, so that its owner's end ends the thread.
private final class JobLoop: Sendable {
  struct State {
    var jobs: [UnownedJob] = []
    var stopped = false
    weak var executor: PinnedExecutor?
  }

  let state = Mutex(State())
  private let wakeUp = DispatchSemaphore(value: 0)

  func enqueue(_ job: UnownedJob) {
    state.withLock { $0.jobs.append(job) }
    wakeUp.signal()
  }

  func stop() {
    state.withLock { $0.stopped = true }
    wakeUp.signal()
  }

  func run() {
    while true {
      wakeUp.wait()
      let (jobs, executor, stopped) = state.withLock { state in
        defer { state.jobs.removeAll() }
        return (state.jobs, state.executor, state.stopped)
      }
      if let executor {
        for job in jobs { unsafe job.runSynchronously(on: executor.asUnownedSerialExecutor()) }
      }
      if stopped { return }
    }
  }
}
