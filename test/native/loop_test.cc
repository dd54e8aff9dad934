// The hosted loop on a plain uv loop: what keeps it alive, that it ends, that both sides get their
// turn.
#include "loop/loop.h"

#include <Python.h>
#include <uv.h>

#include <functional>
#include <utility>

#include "base/counters.h"
#include "embed.h"
#include "interp/gil.h"
#include "interp/interrupt.h"
#include "interp/per_interpreter.h"
#include "interp/ref.h"
#include "loop/host.h"
#include "test.h"

namespace {

using coloop::interp::GilAcquire;
using coloop::interp::Owned;

class FakeHost final : public coloop::loop::LoopHost {
 public:
  FakeHost() { uv_loop_init(&uv_loop); }
  uv_loop_s* uv() override { return &uv_loop; }
  void BeginBatch() override { ++batches; }
  void EndBatch() override {
    ++ended;
    const std::function<void()> once = std::exchange(microtasks, nullptr);
    if (once) once();
  }

  uv_loop_t uv_loop;
  std::function<void()> microtasks;  // run at the end of the next batch
  int batches = 0;
  int ended = 0;
};

// A hosted loop, and the names of `code` run with it as `loop`.
class Hosted {
 public:
  Hosted() {
    const GilAcquire acquire;
    loop_ = coloop::loop::NewHosted(acquire.gil(), &host, [](void*) {}, nullptr);
    globals_ = Owned(PyDict_New());
    PyDict_SetItemString(globals_.get(), "loop", loop_.get());
    PyDict_SetItemString(globals_.get(), "__builtins__", PyEval_GetBuiltins());
  }
  ~Hosted() {
    if (loop_) Close();
    uv_run(&host.uv_loop, UV_RUN_DEFAULT);
    EXPECT(closed == 1);
    EXPECT(uv_loop_close(&host.uv_loop) == 0);
  }
  Hosted(const Hosted&) = delete;
  Hosted& operator=(const Hosted&) = delete;

  void Close() {
    const GilAcquire acquire;
    globals_.reset();
    coloop::loop::CloseHosted(
        acquire.gil(), loop_.get(), [](void* data) { ++*static_cast<int*>(data); }, &closed);
    loop_.reset();
  }
  void Run(const char* code) {
    const GilAcquire acquire;
    const Owned done(PyRun_String(code, Py_file_input, globals_.get(), globals_.get()));
    if (!done) {
      PyErr_Print();
      EXPECT(!"the code raised");
    }
  }
  long Number(const char* name) {
    const GilAcquire acquire;
    PyObject* value = PyDict_GetItemString(globals_.get(), name);
    return value != nullptr ? PyLong_AsLong(value) : -1;
  }
  // True if uv has work that would keep a process alive.
  bool Alive() { return uv_loop_alive(&host.uv_loop) != 0; }
  void Finish() { uv_run(&host.uv_loop, UV_RUN_DEFAULT); }

  FakeHost host;
  int closed = 0;

 private:
  Owned loop_;
  Owned globals_;
};

TEST(an_idle_hosted_loop_keeps_nothing_alive) {
  Hosted hosted;
  EXPECT(!hosted.Alive());
  hosted.Finish();
  EXPECT(hosted.host.batches == 0);
}

TEST(a_callback_runs_in_one_batch) {
  Hosted hosted;
  hosted.Run("n = 0\ndef f():\n    global n\n    n += 1\nloop.call_soon(f)\nloop.call_soon(f)");
  EXPECT(hosted.Alive());
  hosted.Finish();
  EXPECT(hosted.Number("n") == 2);
  EXPECT(hosted.host.batches == 1);
  EXPECT(hosted.host.ended == 1);
}

TEST(a_timer_keeps_the_host_alive_until_it_ran) {
  Hosted hosted;
  hosted.Run("n = 0\ndef f():\n    global n\n    n = 1\nloop.call_later(0.02, f)");
  EXPECT(hosted.Alive());
  hosted.Finish();
  EXPECT(hosted.Number("n") == 1);
  EXPECT(!hosted.Alive());
}

TEST(a_timer_is_never_early) {
  Hosted hosted;
  hosted.Run(
      "import time\nearly = 0\n"
      "def f(due):\n    global early\n    early += time.monotonic() < due\n"
      "for i in range(40):\n"
      "    due = loop.time() + i * 0.0007\n    loop.call_at(due, f, due)\n");
  hosted.Finish();
  EXPECT(hosted.Number("early") == 0);
}

TEST(timers_of_the_same_time_run_in_order) {
  Hosted hosted;
  hosted.Run(
      "order = []\nwhen = loop.time() + 0.01\n"
      "for i in range(200): loop.call_at(when, order.append, i)\n");
  hosted.Finish();
  hosted.Run("ok = int(order == list(range(200)))");
  EXPECT(hosted.Number("ok") == 1);
}

TEST(a_cancelled_timer_does_not_keep_the_host_alive) {
  Hosted hosted;
  hosted.Run("h = loop.call_later(1000, print)\nh.cancel()");
  EXPECT(!hosted.Alive());
}

TEST(a_watch_keeps_the_host_alive_and_reports) {
  Hosted hosted;
  hosted.Run(
      "import socket\na, b = socket.socketpair()\nn = 0\n"
      "def f():\n    global n\n    n += len(a.recv(10))\n    loop.remove_reader(a)\n"
      "loop.add_reader(a, f)\nb.send(b'xyz')\n");
  EXPECT(hosted.Alive());
  hosted.Finish();
  EXPECT(hosted.Number("n") == 3);
  EXPECT(!hosted.Alive());
  hosted.Run("a.close(); b.close()");
}

TEST(a_descriptor_closed_while_watched_is_no_harm) {
  Hosted hosted;
  hosted.Run(
      "import os\nr, w = os.pipe()\nloop.add_reader(r, print)\nos.close(r)\n"
      "r2, w2 = os.pipe()\nn = 0\n"
      "def f():\n    global n\n    n += 1\n    loop.remove_reader(r2)\n"
      "assert r2 == r\nloop.add_reader(r2, f)\nos.write(w2, b'x')\n");
  hosted.Finish();
  EXPECT(hosted.Number("n") == 1);
  hosted.Run("for fd in (w, r2, w2): os.close(fd)");
}

TEST(a_duplicate_of_a_descriptor_closed_while_watched_does_not_spin) {
  Hosted hosted;
  hosted.Run(
      "import os\nr, w = os.pipe()\ncopy = os.dup(r)\nloop.add_reader(r, print)\nos.close(r)\n"
      "loop.remove_reader(r)\nos.write(w, b'x')\nloop.call_later(0.1, int)\n"
      "a, b = os.pipe()\nn = 0\n"
      "def f():\n    global n\n    n += 1\n    loop.remove_reader(a)\n"
      "loop.add_reader(a, f)\nloop.call_later(0.05, os.write, b, b'y')\n");
  hosted.Finish();
  EXPECT(hosted.Number("n") == 1);  // what is watched still, is watched after the renewal
  EXPECT(hosted.host.batches < 50);
  hosted.Run("for fd in (w, copy, a, b): os.close(fd)");
}

TEST(the_end_of_a_batch_may_queue_more) {
  Hosted hosted;
  hosted.Run("n = 0\ndef f():\n    global n\n    n += 1\nloop.call_soon(f)");
  hosted.host.microtasks = [&hosted] { hosted.Run("loop.call_soon(f)"); };
  hosted.Finish();
  EXPECT(hosted.Number("n") == 2);
}

TEST(the_end_of_a_batch_may_close_the_loop) {
  Hosted hosted;
  hosted.Run("loop.call_soon(int); loop.call_later(0, int); loop.call_later(1000, int)");
  hosted.host.microtasks = [&hosted] { hosted.Close(); };
  hosted.Finish();
  EXPECT(hosted.closed == 1);
}

TEST(other_threads_may_use_what_asyncio_lets_them_use) {
  Hosted hosted;
  hosted.Run(
      "import socket, threading, time\na, b = socket.socketpair()\nseen = []\n"
      "def read():\n    seen.append(a.recv(1))\n    loop.remove_reader(a)\n    loop._unref()\n"
      "def other():\n"
      "    time.sleep(0.02)\n    loop.call_soon(seen.append, 'soon')\n"
      "    loop.call_later(0.02, seen.append, 'later')\n    loop.add_reader(a, read)\n"
      "    time.sleep(0.05)\n    b.send(b'x')\n"
      "loop._ref()\nt = threading.Thread(target=other)\nt.start()\n");
  hosted.Finish();
  hosted.Run("ok = int(seen == ['soon', 'later', b'x'])\nt.join()\na.close(); b.close()");
  EXPECT(hosted.Number("ok") == 1);
}

TEST(a_callback_of_another_thread_wakes_the_poll) {
  Hosted hosted;
  hosted.Run(
      "import threading, time\nn = 0\n"
      "def f():\n    global n\n    n = 1\n    guard.cancel()\n"
      "guard = loop.call_later(30, print)\n"
      "t = threading.Thread(target=lambda: (time.sleep(0.02), loop.call_soon_threadsafe(f)))\n"
      "t.start()");
  hosted.Finish();
  EXPECT(hosted.Number("n") == 1);
  hosted.Run("t.join()");
}

TEST(python_that_never_rests_leaves_the_host_its_timers) {
  Hosted hosted;
  hosted.Run(
      "stop = 0\ndef spin():\n    if not stop: loop.call_soon(spin)\nloop.call_soon(spin)\n");
  struct Ticks {
    Hosted* hosted;
    int count = 0;
  } ticks{&hosted};
  uv_timer_t timer;
  uv_timer_init(&hosted.host.uv_loop, &timer);
  timer.data = &ticks;
  uv_timer_start(
      &timer,
      [](uv_timer_t* handle) {
        auto* state = static_cast<Ticks*>(handle->data);
        if (++state->count < 20) return;
        state->hosted->Run("stop = 1");
        uv_close(reinterpret_cast<uv_handle_t*>(handle), nullptr);
      },
      1, 1);
  hosted.Finish();
  EXPECT(ticks.count == 20);
}

TEST(many_slow_callbacks_leave_the_host_its_turn) {
  Hosted hosted;
  hosted.Run(
      "import time\nran = 0\n"
      "def slow():\n    global ran\n    ran += 1\n    end = time.monotonic() + 0.0005\n"
      "    while time.monotonic() < end: pass\n"
      "for i in range(400): loop.call_soon(slow)\n");
  struct Turns {
    Hosted* hosted;
    int count = 0;
  } turns{&hosted};
  uv_timer_t timer;
  uv_timer_init(&hosted.host.uv_loop, &timer);
  timer.data = &turns;
  uv_timer_start(
      &timer,
      [](uv_timer_t* handle) {
        auto* state = static_cast<Turns*>(handle->data);
        if (state->hosted->Number("ran") < 400) {
          ++state->count;
        } else {
          uv_close(reinterpret_cast<uv_handle_t*>(handle), nullptr);
        }
      },
      1, 1);
  hosted.Finish();
  EXPECT(hosted.Number("ran") == 400);
  EXPECT(turns.count >= 10);  // 200 ms of callbacks in one generation, cut every few milliseconds
}

TEST(an_error_in_a_callback_goes_to_the_exception_handler) {
  Hosted hosted;
  hosted.Run(
      "seen = []\nloop.set_exception_handler(lambda l, c: seen.append(type(c['exception'])))\n"
      "def f(error):\n    raise error\n"
      "for e in (ValueError(), SystemExit(3), KeyboardInterrupt()): loop.call_soon(f, e)\n");
  hosted.Finish();
  hosted.Run("ok = int(seen == [ValueError, SystemExit, KeyboardInterrupt])");
  EXPECT(hosted.Number("ok") == 1);
}

TEST(the_running_loop_is_set_in_a_drain_only) {
  Hosted hosted;
  hosted.Run(
      "import asyncio\nn = 0\n"
      "def f():\n    global n\n    n = int(asyncio.get_running_loop() is loop)\n"
      "assert asyncio._get_running_loop() is None\nloop.call_soon(f)\n");
  hosted.Finish();
  EXPECT(hosted.Number("n") == 1);
  hosted.Run("assert asyncio._get_running_loop() is None");
}

TEST(explicit_references_keep_the_host_alive) {
  Hosted hosted;
  hosted.Run("loop._ref()");
  EXPECT(hosted.Alive());
  hosted.Run("loop._unref()");
  EXPECT(!hosted.Alive());
}

TEST(an_interrupt_ends_the_poll_of_an_owned_loop) {
  Hosted hosted;
  hosted.Run(
      "import threading, time\nfrom _erlang_impl._loop import ErlangEventLoop\nn = 0\n"
      "started = threading.Event()\n"
      "def wait():\n"
      "    global n\n    owned = ErlangEventLoop()\n    owned.call_soon(started.set)\n"
      "    try:\n        owned.run_forever()\n"
      "    except KeyboardInterrupt:\n        n = 1\n    owned.close()\n"
      "t = threading.Thread(target=wait, daemon=True)\nt.start()\nstarted.wait()\n"
      "time.sleep(0.02)\nident = t.ident\n");
  const auto ident = static_cast<unsigned long>(hosted.Number("ident"));
  coloop::interp::InterruptThread(
      {&coloop::interp::MainInterpreter(), ident}, false, [] { return true; },
      coloop::loop::InterruptOwnedLoops);
  hosted.Run("t.join(10)");
  EXPECT(hosted.Number("n") == 1);
}

TEST(nothing_is_left_of_closed_loops) {
  const auto loops = coloop::base::LiveCount(coloop::base::Live::kLoop);
  const auto handles = coloop::base::LiveCount(coloop::base::Live::kUvHandle);
  {
    Hosted hosted;
    hosted.Run(
        "import socket\na, b = socket.socketpair()\nloop.add_reader(a, print)\n"
        "loop.call_later(100, print)\nloop.call_soon(print)\n"
        "import gc");
  }
  EXPECT(coloop::base::LiveCount(coloop::base::Live::kLoop) == loops);
  EXPECT(coloop::base::LiveCount(coloop::base::Live::kUvHandle) == handles);
  EXPECT(coloop::base::LiveCount(coloop::base::Live::kWatch) == 0);
  EXPECT(coloop::base::LiveCount(coloop::base::Live::kTimer) == 0);
}

}  // namespace

int main() {
  if (!coloop::test::StartPython()) return 2;
  return coloop::test::RunAll() == 0 ? 0 : 1;
}
