#include "io/stream_writer.h"

#include <Python.h>

#include <cstddef>
#include <iterator>
#include <utility>

#include "interp/gil.h"
#include "interp/method.h"
#include "interp/ref.h"
#include "io/names.h"
#include "io/stream_class.h"
#include "io/stream_coroutine.h"
#include "io/stream_fields.h"

namespace coloop::io {

using interp::AsMethod;
using interp::Gil;
using interp::Owned;

namespace {

// In the order of the table below.
enum Method : std::size_t { kWrite, kDrain };

PyObject* Write(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  StreamClass& writers = Classes().writer;
  if (!writers.IsWhole()) return writers.CallPatched(kWrite, self, args, count, keywords);
  if (count != 1 || keywords != nullptr) {
    return writers.CallPlain(kWrite, self, args, count, keywords);
  }
  const Owned transport = Fields(Gil::FromPython(), self).Get(Names().transport);
  const Owned done(transport ? PyObject_CallMethodOneArg(transport.get(), Names().write, args[0])
                             : nullptr);
  if (!done) return nullptr;
  Py_RETURN_NONE;
}

// Whether the reader has failed, or is one whose exception() is not ours to know. -1 with an
// exception set.
int MayHaveFailed(const Gil& gil, const Fields& writer) {
  const Owned reader = writer.Get(Names().reader);
  if (!reader) return -1;
  if (reader.get() == Py_None) return 0;
  if (!Classes().reader.Serves(reader.get())) return 1;
  const Fields fields(gil, reader.get());
  const int own = fields.Has(Names().exception);
  if (own != 0) return own;
  const Owned exception = fields.Get(Names().exception_field);
  if (!exception) return -1;
  return exception.get() != Py_None ? 1 : 0;
}

// Whether the protocol waits for room, is at its end, or is not ours. -1 with an exception set.
int MayBlock(const Gil& gil, const Fields& writer) {
  const Owned protocol = writer.Get(Names().protocol);
  if (!protocol) return -1;
  if (!Classes().protocol.Serves(protocol.get())) return 1;
  const Fields fields(gil, protocol.get());
  const int own = fields.Has(Names().drain_helper);
  return own != 0 ? own : MayHaveToWait(fields);
}

// Whether drain() has something to wait for or to raise. -1 with an exception set.
int HasToDrain(const Gil& gil, const Fields& writer) {
  const int failed = MayHaveFailed(gil, writer);
  if (failed != 0) return failed;
  const Owned transport = writer.Get(Names().transport);
  const Owned closing(transport ? PyObject_CallMethodNoArgs(transport.get(), Names().is_closing)
                                : nullptr);
  const int is_closing = closing ? PyObject_IsTrue(closing.get()) : -1;
  return is_closing != 0 ? is_closing : MayBlock(gil, writer);
}

Owned BeginDrain(const Gil& gil, CoroutineState& state) {
  const int has = HasToDrain(gil, Fields(gil, state.owner.get()));
  if (has == 0) return Owned::NewRef(Py_None);
  if (has < 0) return Owned();
  PyObject* self = state.owner.get();
  return BeginDelegated(state,
                        Owned(Classes().writer.CallPlain(kDrain, self, nullptr, 0, nullptr)));
}

constexpr CoroutineSteps kDrainSteps{"drain", "StreamWriter.drain", BeginDrain, EndDelegated,
                                     GiveUpDelegated};

PyObject* Drain(PyObject* self, PyObject*) {
  StreamClass& writers = Classes().writer;
  if (!writers.IsWhole()) return writers.CallPatched(kDrain, self, nullptr, 0, nullptr);
  if (TracksOrigins()) return writers.CallPlain(kDrain, self, nullptr, 0, nullptr);
  CoroutineState state;
  state.owner = Owned::NewRef(self);
  return NewCoroutine(Gil::FromPython(), kDrainSteps, std::move(state));
}

PyMethodDef methods[] = {
    {"write", AsMethod(Write), METH_FASTCALL | METH_KEYWORDS,
     "write($self, data)\n--\n\nasyncio.StreamWriter.write"},
    {"drain", Drain, METH_NOARGS, "drain($self)\n--\n\nasyncio.StreamWriter.drain"},
};

}  // namespace

bool InitStreamWriter(const Gil& gil, PyObject* streams) {
  return Classes().writer.Make(gil, streams, "StreamWriter", methods, std::size(methods));
}

}  // namespace coloop::io
