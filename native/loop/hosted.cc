// Makes and closes the loop that Node drives.
#include "loop/hosted.h"

#include <Python.h>

#include <utility>

#include "interp/error.h"
#include "interp/gil.h"
#include "interp/ref.h"
#include "loop/host.h"
#include "loop/loop.h"

namespace coloop::loop {

using interp::Gil;
using interp::Owned;

namespace {
thread_local PyObject* hosted_on_thread = nullptr;  // a reference, until CloseHosted
thread_local LoopHost* pending_host = nullptr;      // what the next loop is attached to

// hosted_loop() -> the loop that this thread's JavaScript environment drives, or None
PyObject* HostedLoop(PyObject*, PyObject*) {
  return Owned::NewRef(hosted_on_thread != nullptr ? hosted_on_thread : Py_None).release();
}
}  // namespace

PyMethodDef hosted_functions[] = {
    {"hosted_loop", HostedLoop, METH_NOARGS,
     "The loop that drives this JavaScript thread, or None on any other thread."},
    {nullptr, nullptr, 0, nullptr},
};

bool OpenOnHost(Loop& loop, PyObject* object) {
  LoopHost* host = std::exchange(pending_host, nullptr);
  if (!loop.Open(object, host)) return false;
  if (host != nullptr) hosted_on_thread = Owned::NewRef(object).release();
  return true;
}

Owned NewHosted(const Gil& gil, LoopHost* host, void (*closed)(void*), void* data) {
  const Owned module(PyImport_ImportModule("_erlang_impl._loop"));
  pending_host = host;
  Owned loop(module ? PyObject_CallMethod(module.get(), "new_hosted", nullptr) : nullptr);
  pending_host = nullptr;
  if (loop) return loop;
  if (hosted_on_thread == nullptr) {
    closed(data);
    return loop;
  }
  // An interrupt came when its handles were open: nobody else would close them.
  const Owned exception = interp::TakeException(gil);
  CloseHosted(gil, hosted_on_thread, closed, data);
  interp::RaiseException(gil, exception.get());
  return loop;
}

void CloseHosted(const Gil& gil, PyObject* object, void (*closed)(void*), void* data) {
  const Owned done(PyObject_CallMethod(object, "_end_hosted", nullptr));
  if (!done) interp::ReportUnraisable(gil, object);
  const Owned kept(std::exchange(hosted_on_thread, nullptr));
  Loop::From(gil, object)->Close(gil, closed, data);
}

}  // namespace coloop::loop
