#include "io/tls_type.h"

#include <Python.h>

#include <cstddef>
#include <utility>

#include "interp/arguments.h"
#include "interp/gil.h"
#include "interp/method.h"
#include "interp/per_interpreter.h"
#include "interp/ref.h"
#include "io/byte_sink.h"
#include "io/stream_protocol.h"
#include "io/stream_type.h"
#include "io/tls.h"
#include "io/transport.h"

namespace coloop::io {

using interp::AsMethod;
using interp::Gil;
using interp::Named;
using interp::Owned;

namespace {

struct TlsObject {
  PyObject_HEAD PyObject* extra;  // asyncio.BaseTransport's slot
  PyObject* flow[4];              // _FlowControlMixin's, not used
  Tls* tls;                       // from __new__ on
};

struct TlsState {
  PyTypeObject* type = nullptr;
};
interp::PerInterpreter<TlsState> state;

Tls& Get(PyObject* self) { return *reinterpret_cast<TlsObject*>(self)->tls; }

PyObject* NoneIf(bool done) {
  if (!done) return nullptr;
  Py_RETURN_NONE;
}

PyObject* OrNone(const Owned& object) {
  return Owned::NewRef(object ? object.get() : Py_None).release();
}

// asyncio's methods

bool IsOver(const Tls& tls) {
  return tls.state != Tls::State::kWrapped && tls.state != Tls::State::kHandshake;
}

PyObject* CountLostWrite(PyObject* self, Tls& tls) {
  if (tls.lost_writes++ < kLogLostWrites) Py_RETURN_NONE;
  return PyObject_CallMethod(self, "_warn_lost_write", nullptr);
}

// What can change is copied: some of it may be sent later.
Owned AsBytes(PyObject* data) {
  if (PyBytes_CheckExact(data)) return Owned::NewRef(data);
  return Owned(PyBytes_FromObject(data));
}

PyObject* Write(PyObject* self, PyObject* data) {
  Tls& tls = Get(self);
  if (PyBytes_Check(data) == 0 && PyByteArray_Check(data) == 0 && PyMemoryView_Check(data) == 0) {
    return PyErr_Format(PyExc_TypeError, "data: expecting a bytes-like instance, got %s",
                        Py_TYPE(data)->tp_name);
  }
  Owned bytes = AsBytes(data);
  if (!bytes) return nullptr;
  if (PyBytes_GET_SIZE(bytes.get()) == 0) Py_RETURN_NONE;
  if (IsOver(tls)) return CountLostWrite(self, tls);
  return NoneIf(tls.Write(Gil::FromPython(), std::move(bytes)));
}

PyObject* WriteLines(PyObject* self, PyObject* lines) {
  Tls& tls = Get(self);
  const Owned empty(PyBytes_FromStringAndSize(nullptr, 0));
  // One record for all of them, if they fit. In parentheses, or a tuple would be the arguments.
  Owned joined(empty ? PyObject_CallMethod(empty.get(), "join", "(O)", lines) : nullptr);
  if (!joined) return nullptr;
  if (IsOver(tls)) return CountLostWrite(self, tls);
  if (PyBytes_GET_SIZE(joined.get()) == 0) Py_RETURN_NONE;
  return NoneIf(tls.Write(Gil::FromPython(), std::move(joined)));
}

// CPython's tests ask for it: waits until something else is written.
PyObject* Append(PyObject* self, PyObject* data) {
  Owned bytes = AsBytes(data);
  if (!bytes) return nullptr;
  Get(self).Append(std::move(bytes));
  Py_RETURN_NONE;
}

PyObject* DataReceived(PyObject* self, PyObject* data) {
  Py_buffer view;
  if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) != 0) return nullptr;
  const bool done = Get(self).Received(Gil::FromPython(), static_cast<const char*>(view.buf),
                                       static_cast<std::size_t>(view.len));
  PyBuffer_Release(&view);
  return NoneIf(done);
}

PyObject* PauseWriting(PyObject* self, PyObject*) {
  Get(self).writing_paused = true;
  Py_RETURN_NONE;
}

PyObject* PauseReading(PyObject* self, PyObject*) {
  Get(self).reading_paused = true;
  Py_RETURN_NONE;
}

template <bool (Tls::*Method)(const Gil&)>
PyObject* Call(PyObject* self, PyObject*) {
  return NoneIf((Get(self).*Method)(Gil::FromPython()));
}

template <bool (Tls::*Method)(const Gil&, std::size_t*) const>
PyObject* CallForSize(PyObject* self, PyObject*) {
  std::size_t size = 0;
  if (!(Get(self).*Method)(Gil::FromPython(), &size)) return nullptr;
  return PyLong_FromSize_t(size);
}

PyObject* IsReading(PyObject* self, PyObject*) {
  return PyBool_FromLong(Get(self).reading_paused ? 0 : 1);
}

PyObject* IsClosing(PyObject* self, PyObject*) { return PyBool_FromLong(Get(self).closed ? 1 : 0); }

PyObject* SetProtocol(PyObject* self, PyObject* protocol) {
  const int buffered = IsBuffered(protocol);
  if (buffered < 0 || !UseNativeStreams(Gil::FromPython(), protocol)) return nullptr;
  Get(self).SetProtocol(protocol, buffered != 0);
  Py_RETURN_NONE;
}

PyObject* GetProtocol(PyObject* self, PyObject*) { return OrNone(Get(self).protocol); }

// For _tls.py

PyObject* Open(PyObject* self, PyObject* args) {
  PyObject* ssl_object = nullptr;
  PyObject* incoming = nullptr;
  PyObject* outgoing = nullptr;
  if (PyArg_ParseTuple(args, "OOO", &ssl_object, &incoming, &outgoing) == 0) return nullptr;
  return NoneIf(Get(self).Open(Gil::FromPython(), ssl_object, incoming, outgoing));
}

PyObject* SendOutgoing(PyObject* self, PyObject* even_if_paused) {
  const int always = PyObject_IsTrue(even_if_paused);
  if (always < 0) return nullptr;
  return NoneIf(Get(self).SendOutgoing(Gil::FromPython(), always != 0));
}

PyObject* Discard(PyObject* self, PyObject*) {
  Get(self).Discard();
  Py_RETURN_NONE;
}

PyMethodDef methods[] = {
    {"write", AsMethod(Named<Write, kWrite>), METH_FASTCALL | METH_KEYWORDS, nullptr},
    {"writelines", AsMethod(Named<WriteLines, kWriteLines>), METH_FASTCALL | METH_KEYWORDS,
     nullptr},
    {"_test__append_write_backlog", Append, METH_O, nullptr},
    {"data_received", DataReceived, METH_O, nullptr},
    {"pause_writing", PauseWriting, METH_NOARGS, nullptr},
    {"resume_writing", Call<&Tls::ResumeWriting>, METH_NOARGS, nullptr},
    {"pause_reading", PauseReading, METH_NOARGS, nullptr},
    {"is_reading", IsReading, METH_NOARGS, nullptr},
    {"is_closing", IsClosing, METH_NOARGS, nullptr},
    {"set_protocol", AsMethod(Named<SetProtocol, kSetProtocol>), METH_FASTCALL | METH_KEYWORDS,
     nullptr},
    {"get_protocol", GetProtocol, METH_NOARGS, nullptr},
    {"get_write_buffer_size", CallForSize<&Tls::WriteBufferSize>, METH_NOARGS, nullptr},
    {"get_read_buffer_size", CallForSize<&Tls::ReadBufferSize>, METH_NOARGS, nullptr},
    {"_open", Open, METH_VARARGS, nullptr},
    {"_read", Call<&Tls::Read>, METH_NOARGS, nullptr},
    {"_push", Call<&Tls::Push>, METH_NOARGS, nullptr},
    {"_send_outgoing", SendOutgoing, METH_O, nullptr},
    {"_control_reading", Call<&Tls::ControlReading>, METH_NOARGS, nullptr},
    {"_control_writing", Call<&Tls::ControlWriting>, METH_NOARGS, nullptr},
    {"_discard", Discard, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

// Fields

bool Deletes(const PyObject* value) {
  if (value == nullptr) PyErr_SetString(PyExc_AttributeError, "the attribute cannot be deleted");
  return value == nullptr;
}

template <bool Tls::* Field>
PyObject* GetFlag(PyObject* self, void*) {
  return PyBool_FromLong(Get(self).*Field ? 1 : 0);
}

template <bool Tls::* Field>
int SetFlag(PyObject* self, PyObject* value, void*) {
  const int flag = Deletes(value) ? -1 : PyObject_IsTrue(value);
  if (flag < 0) return -1;
  Get(self).*Field = flag != 0;
  return 0;
}

template <Owned Tls::* Field>
PyObject* GetObject(PyObject* self, void*) {
  return OrNone(Get(self).*Field);
}

template <Owned Tls::* Field>
int SetObject(PyObject* self, PyObject* value, void*) {
  Get(self).*Field = value == nullptr || value == Py_None ? Owned() : Owned::NewRef(value);
  return 0;
}

template <std::size_t Tls::* Field>
PyObject* GetSize(PyObject* self, void*) {
  return PyLong_FromSize_t(Get(self).*Field);
}

template <std::size_t Tls::* Field>
int SetSize(PyObject* self, PyObject* value, void*) {
  return ReadWaterMark(value, &(Get(self).*Field)) ? 0 : -1;
}

PyObject* GetState(PyObject* self, void*) {
  return PyLong_FromLong(static_cast<long>(Get(self).state));
}

int SetState(PyObject* self, PyObject* value, void*) {
  if (Deletes(value)) return -1;
  const long state = PyLong_AsLong(value);
  if (PyErr_Occurred() != nullptr) return -1;
  if (state < 0 || state > static_cast<long>(Tls::State::kShutdown)) {
    PyErr_SetString(PyExc_ValueError, "there is no such state");
    return -1;
  }
  Get(self).state = static_cast<Tls::State>(state);
  return 0;
}

PyObject* GetIdle(PyObject* self, void*) { return PyBool_FromLong(Get(self).idle() ? 1 : 0); }

PyGetSetDef getset[] = {
    {"_loop", GetObject<&Tls::loop_object>, SetObject<&Tls::loop_object>, nullptr, nullptr},
    {"_protocol", GetObject<&Tls::protocol>, SetObject<&Tls::protocol>, nullptr, nullptr},
    {"_transport", GetObject<&Tls::transport>, SetObject<&Tls::transport>, nullptr, nullptr},
    {"_state", GetState, SetState, nullptr, nullptr},
    {"_closed", GetFlag<&Tls::closed>, SetFlag<&Tls::closed>, nullptr, nullptr},
    {"_reading_paused", GetFlag<&Tls::reading_paused>, SetFlag<&Tls::reading_paused>, nullptr,
     nullptr},
    {"_protocol_paused", GetFlag<&Tls::protocol_paused>, nullptr, nullptr, nullptr},
    {"_idle", GetIdle, nullptr, nullptr, nullptr},
    {"_high_water", GetSize<&Tls::high_water>, SetSize<&Tls::high_water>, nullptr, nullptr},
    {"_low_water", GetSize<&Tls::low_water>, SetSize<&Tls::low_water>, nullptr, nullptr},
    {"_read_high_water", GetSize<&Tls::read_high_water>, SetSize<&Tls::read_high_water>, nullptr,
     nullptr},
    {"_read_low_water", GetSize<&Tls::read_low_water>, SetSize<&Tls::read_low_water>, nullptr,
     nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

// Life

PyObject* New(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* self = type->tp_alloc(type, 0);
  if (self != nullptr) reinterpret_cast<TlsObject*>(self)->tls = new Tls(self);
  return self;
}

int Traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(reinterpret_cast<TlsObject*>(self)->extra);
  const Tls* tls = reinterpret_cast<TlsObject*>(self)->tls;
  return tls != nullptr ? tls->Traverse(visit, arg) : 0;
}

int Clear(PyObject* self) {
  Py_CLEAR(reinterpret_cast<TlsObject*>(self)->extra);
  Get(self).ClearReferences();
  return 0;
}

void Dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  Py_CLEAR(reinterpret_cast<TlsObject*>(self)->extra);
  delete std::exchange(reinterpret_cast<TlsObject*>(self)->tls, nullptr);
  type->tp_free(self);
  Py_DECREF(type);
}

PyType_Slot slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(New)},
    {Py_tp_dealloc, reinterpret_cast<void*>(Dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(Traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(Clear)},
    {Py_tp_methods, methods},
    {Py_tp_getset, getset},
    {0, nullptr},
};

PyType_Spec spec = {"_coloop.Tls", sizeof(TlsObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};

}  // namespace

bool AddTlsType(const Gil&, PyObject* module) {
  const Owned transports(PyImport_ImportModule("asyncio.transports"));
  if (!transports) return false;
  const Owned base(PyObject_GetAttrString(transports.get(), "_FlowControlMixin"));
  if (!base) return false;
  auto* base_type = reinterpret_cast<PyTypeObject*>(base.get());
  if (base_type->tp_basicsize != offsetof(TlsObject, tls)) {
    PyErr_SetString(PyExc_TypeError,
                    "asyncio's _FlowControlMixin has another layout than expected");
    return false;
  }
  const Owned bases(PyTuple_Pack(1, base.get()));
  if (!bases) return false;
  state->type = reinterpret_cast<PyTypeObject*>(PyType_FromSpecWithBases(&spec, bases.get()));
  return state->type != nullptr && PyModule_AddType(module, state->type) == 0;
}

ByteSink* SinkOf(PyObject* protocol) {
  if (state->type == nullptr || PyObject_TypeCheck(protocol, state->type) == 0) return nullptr;
  return &Get(protocol);
}

}  // namespace coloop::io
