#include "io/datagram_type.h"

#include <Python.h>
#include <structmember.h>

#include <cstddef>
#include <utility>

#include "interp/arguments.h"
#include "interp/error.h"
#include "interp/gil.h"
#include "interp/method.h"
#include "interp/ref.h"
#include "io/datagram.h"
#include "io/transport.h"
#include "loop/loop.h"

namespace coloop::io {

using interp::AsMethod;
using interp::Gil;
using interp::Named;
using interp::Owned;

namespace {

struct DatagramObject {
  PyObject_HEAD PyObject* extra;  // asyncio.BaseTransport's slot
  PyObject* flow[4];              // _FlowControlMixin's, not used
  Datagram* datagram;             // null before __init__
};

Datagram* Find(PyObject* self) { return reinterpret_cast<DatagramObject*>(self)->datagram; }

// Null with an exception set for a transport whose __init__ did not run.
Datagram* Get(PyObject* self) {
  Datagram* datagram = Find(self);
  if (datagram == nullptr) PyErr_SetString(PyExc_RuntimeError, "the transport is not initialised");
  return datagram;
}

PyObject* NoneIf(bool done) {
  if (!done) return nullptr;
  Py_RETURN_NONE;
}

PyObject* OrNone(const Owned& object) {
  return Owned::NewRef(object ? object.get() : Py_None).release();
}

// Whether the peer has a name: by what get_extra_info says, as asyncio. -1 with an exception set.
int IsNamed(PyObject* extra) {
  PyObject* peer = PyDict_GetItemString(extra, "peername");
  return peer != nullptr ? PyObject_IsTrue(peer) : 0;
}

Datagram* NewDatagram(PyObject* self, PyObject* loop, PyObject* sock) {
  const Owned number(PyObject_CallMethod(sock, "fileno", nullptr));
  const long fd = number ? PyLong_AsLong(number.get()) : -1;
  if (fd == -1 && PyErr_Occurred() != nullptr) return nullptr;
  loop::Loop* native = loop::Loop::From(Gil::FromPython(), loop);
  if (native == nullptr) {
    PyErr_Format(PyExc_TypeError, "an ErlangEventLoop is required, not %R", loop);
    return nullptr;
  }
  auto* object = reinterpret_cast<DatagramObject*>(self);
  if (object->datagram !=
      nullptr) {  // asked last: what ran before, such as fileno(), may come here
    PyErr_SetString(PyExc_RuntimeError, "the transport is initialised");
    return nullptr;
  }
  object->datagram = new Datagram(self, loop, *native, static_cast<int>(fd));
  return object->datagram;
}

int Init(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* keywords[] = {"loop",   "sock",  "protocol", "address",
                                   "waiter", "extra", nullptr};
  PyObject* loop = nullptr;
  PyObject* sock = nullptr;
  PyObject* protocol = nullptr;
  PyObject* address = Py_None;
  PyObject* waiter = Py_None;
  PyObject* extra = nullptr;
  if (PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOOO!", const_cast<char**>(keywords), &loop,
                                  &sock, &protocol, &address, &waiter, &PyDict_Type, &extra) == 0) {
    return -1;
  }
  const int named = IsNamed(extra);
  const int addressed = PyObject_IsTrue(address);
  if (named < 0 || addressed < 0) return -1;
  Datagram* datagram = NewDatagram(self, loop, sock);
  if (datagram == nullptr) return -1;
  Py_XSETREF(reinterpret_cast<DatagramObject*>(self)->extra, Owned::NewRef(extra).release());
  datagram->protocol = Owned::NewRef(protocol);
  datagram->SetSocket(Gil::FromPython(), sock);
  if (addressed != 0) datagram->address = Owned::NewRef(address);
  const Gil gil = Gil::FromPython();
  return datagram->Start(gil, waiter == Py_None ? nullptr : waiter, named != 0) ? 0 : -1;
}

// Methods

// sendto(data, addr=None): the arguments of a call with keywords. False with an exception set.
bool ReadArguments(PyObject* const* args, Py_ssize_t count, PyObject* names, PyObject** data,
                   PyObject** address) {
  static const char* keywords[] = {"data", "addr", nullptr};
  const Owned positional(PyTuple_New(count));
  const Owned named(PyDict_New());
  if (!positional || !named) return false;
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyTuple_SET_ITEM(positional.get(), i, Owned::NewRef(args[i]).release());
  }
  for (Py_ssize_t i = 0; names != nullptr && i < PyTuple_GET_SIZE(names); ++i) {
    if (PyDict_SetItem(named.get(), PyTuple_GET_ITEM(names, i), args[count + i]) != 0) return false;
  }
  // Borrowed from the caller, who has them as long as the call lasts.
  return PyArg_ParseTupleAndKeywords(positional.get(), named.get(), "O|O:sendto",
                                     const_cast<char**>(keywords), data, address) != 0;
}

PyObject* SendTo(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  Datagram* datagram = Get(self);
  if (datagram == nullptr) return nullptr;
  PyObject* data = count > 0 ? args[0] : nullptr;
  PyObject* address = count > 1 ? args[1] : Py_None;
  if ((names != nullptr || count < 1 || count > 2) &&
      !ReadArguments(args, count, names, &data, &address)) {
    return nullptr;
  }
  if (PyBytes_Check(data) == 0 && PyByteArray_Check(data) == 0 && PyMemoryView_Check(data) == 0) {
    const Owned name(PyUnicode_FromString(Py_TYPE(data)->tp_name));
    if (!name) return nullptr;
    return PyErr_Format(PyExc_TypeError, "data argument must be a bytes-like object, not %R",
                        name.get());
  }
#if PY_VERSION_HEX < 0x030D0000
  const int something = PyObject_IsTrue(data);
  if (something <= 0) return NoneIf(something == 0);
#endif
  return NoneIf(datagram->SendTo(Gil::FromPython(), data, address));
}

template <bool (Datagram::*Method)(const Gil&)>
PyObject* Call(PyObject* self, PyObject*) {
  Datagram* datagram = Get(self);
  return datagram != nullptr ? NoneIf((datagram->*Method)(Gil::FromPython())) : nullptr;
}

template <bool (Datagram::*Method)(const Gil&, PyObject*)>
PyObject* CallWith(PyObject* self, PyObject* argument) {
  Datagram* datagram = Get(self);
  return datagram != nullptr ? NoneIf((datagram->*Method)(Gil::FromPython(), argument)) : nullptr;
}

PyObject* Abort(PyObject* self, PyObject*) {
  return CallWith<&Datagram::ForceClose>(self, Py_None);
}

PyObject* IsClosing(PyObject* self, PyObject*) {
  const Datagram* datagram = Get(self);
  return datagram != nullptr ? PyBool_FromLong(datagram->closing ? 1 : 0) : nullptr;
}

PyObject* IsReading(PyObject* self, PyObject*) {
  const Datagram* datagram = Get(self);
  return datagram != nullptr ? PyBool_FromLong(datagram->is_reading() ? 1 : 0) : nullptr;
}

PyObject* SetProtocol(PyObject* self, PyObject* protocol) {
  Datagram* datagram = Get(self);
  if (datagram == nullptr) return nullptr;
  datagram->protocol = Owned::NewRef(protocol);
  Py_RETURN_NONE;
}

PyObject* GetProtocol(PyObject* self, PyObject*) {
  const Datagram* datagram = Get(self);
  return datagram != nullptr ? OrNone(datagram->protocol) : nullptr;
}

PyObject* GetWriteBufferSize(PyObject* self, PyObject*) {
  Datagram* datagram = Get(self);
  if (datagram == nullptr || !datagram->SendCollected(Gil::FromPython())) return nullptr;
  return PyLong_FromSize_t(datagram->pending());
}

PyMethodDef methods[] = {
    {"sendto", interp::AsMethod(SendTo), METH_FASTCALL | METH_KEYWORDS, nullptr},
    {"close", Call<&Datagram::Close>, METH_NOARGS, nullptr},
    {"abort", Abort, METH_NOARGS, nullptr},
    {"is_closing", IsClosing, METH_NOARGS, nullptr},
    {"is_reading", IsReading, METH_NOARGS, nullptr},
    {"pause_reading", Call<&Datagram::PauseReading>, METH_NOARGS, nullptr},
    {"resume_reading", Call<&Datagram::ResumeReading>, METH_NOARGS, nullptr},
    {"set_protocol", AsMethod(Named<SetProtocol, kSetProtocol>), METH_FASTCALL | METH_KEYWORDS,
     nullptr},
    {"get_protocol", GetProtocol, METH_NOARGS, nullptr},
    {"get_write_buffer_size", GetWriteBufferSize, METH_NOARGS, nullptr},
    {"_maybe_pause_protocol", Call<&Datagram::MaybePause>, METH_NOARGS, nullptr},
    {"_send_ready", Call<&Datagram::SendReady>, METH_NOARGS, nullptr},
    {"_force_close", CallWith<&Datagram::ForceClose>, METH_O, nullptr},
    {"_call_connection_lost", CallWith<&Datagram::LoseConnection>, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

// Fields

template <bool Datagram::* Field>
PyObject* GetFlag(PyObject* self, void*) {
  const Datagram* datagram = Find(self);
  return PyBool_FromLong(datagram != nullptr && datagram->*Field ? 1 : 0);
}

template <Owned Datagram::* Field>
PyObject* GetObject(PyObject* self, void*) {
  const Datagram* datagram = Find(self);
  return datagram != nullptr ? OrNone(datagram->*Field) : OrNone(Owned());
}

template <std::size_t Datagram::* Field>
PyObject* GetSize(PyObject* self, void*) {
  const Datagram* datagram = Get(self);
  return datagram != nullptr ? PyLong_FromSize_t(datagram->*Field) : nullptr;
}

template <std::size_t Datagram::* Field>
int SetSize(PyObject* self, PyObject* value, void*) {
  Datagram* datagram = Get(self);
  return datagram != nullptr && ReadWaterMark(value, &(datagram->*Field)) ? 0 : -1;
}

PyObject* GetLoop(PyObject* self, void*) {
  const Datagram* datagram = Find(self);
  return datagram != nullptr && !datagram->lost ? OrNone(datagram->loop_object) : OrNone(Owned());
}

PyObject* GetDescriptor(PyObject* self, void*) {
  const Datagram* datagram = Find(self);
  return PyLong_FromLong(datagram != nullptr ? datagram->fd : -1);
}

PyObject* GetLostWrites(PyObject* self, void*) {
  const Datagram* datagram = Find(self);
  return PyLong_FromLong(datagram != nullptr ? datagram->lost_writes : 0);
}

PyObject* GetWriting(PyObject* self, void*) {
  const Datagram* datagram = Find(self);
  return PyBool_FromLong(datagram != nullptr && datagram->is_writing() ? 1 : 0);
}

PyGetSetDef getset[] = {
    {"_loop", GetLoop, nullptr, nullptr, nullptr},
    {"_protocol", GetObject<&Datagram::protocol>, nullptr, nullptr, nullptr},
    {"_sock", GetObject<&Datagram::socket>, nullptr, nullptr, nullptr},
    {"_address", GetObject<&Datagram::address>, nullptr, nullptr, nullptr},
    {"_sock_fd", GetDescriptor, nullptr, nullptr, nullptr},
    {"_conn_lost", GetLostWrites, nullptr, nullptr, nullptr},
    {"_closing", GetFlag<&Datagram::closing>, nullptr, nullptr, nullptr},
    {"_paused", GetFlag<&Datagram::paused>, nullptr, nullptr, nullptr},
    {"_lost", GetFlag<&Datagram::lost>, nullptr, nullptr, nullptr},
    {"_protocol_paused", GetFlag<&Datagram::protocol_paused>, nullptr, nullptr, nullptr},
    {"_writing", GetWriting, nullptr, nullptr, nullptr},
    {"_high_water", GetSize<&Datagram::high_water>, SetSize<&Datagram::high_water>, nullptr,
     nullptr},
    {"_low_water", GetSize<&Datagram::low_water>, SetSize<&Datagram::low_water>, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

// Life

int Traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(reinterpret_cast<DatagramObject*>(self)->extra);
  const Datagram* datagram = Find(self);
  return datagram != nullptr ? datagram->Traverse(visit, arg) : 0;
}

int Clear(PyObject* self) {
  Py_CLEAR(reinterpret_cast<DatagramObject*>(self)->extra);
  Datagram* datagram = Find(self);
  if (datagram != nullptr) datagram->ClearReferences();
  return 0;
}

void Finalize(PyObject* self) {
  const Datagram* datagram = Find(self);
  if (datagram == nullptr || datagram->fd < 0) return;
  const Gil gil = Gil::FromPython();
  const bool pending = PyErr_Occurred() != nullptr;
  const Owned exception = pending ? interp::TakeException(gil) : Owned();
  const Owned done(PyObject_CallMethod(self, "_dropped", nullptr));
  if (!done) interp::ReportUnraisable(gil, self);
  if (pending) interp::RaiseException(gil, exception.get());
}

void Dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  Py_CLEAR(reinterpret_cast<DatagramObject*>(self)->extra);
  Datagram* datagram = std::exchange(reinterpret_cast<DatagramObject*>(self)->datagram, nullptr);
  if (datagram != nullptr) {
    const Owned socket = datagram->TakeSocket();
    delete datagram;
  }
  type->tp_free(self);
  Py_DECREF(type);
}

PyType_Slot slots[] = {
    {Py_tp_init, reinterpret_cast<void*>(Init)},
    {Py_tp_dealloc, reinterpret_cast<void*>(Dealloc)},
    {Py_tp_finalize, reinterpret_cast<void*>(Finalize)},
    {Py_tp_traverse, reinterpret_cast<void*>(Traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(Clear)},
    {Py_tp_methods, methods},
    {Py_tp_getset, getset},
    {0, nullptr},
};

PyType_Spec spec = {"_coloop.Datagram", sizeof(DatagramObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};

}  // namespace

bool AddDatagramType(const Gil&, PyObject* module) {
  const Owned transports(PyImport_ImportModule("asyncio.transports"));
  if (!transports) return false;
  const Owned flow(PyObject_GetAttrString(transports.get(), "_FlowControlMixin"));
  const Owned base(PyObject_GetAttrString(transports.get(), "DatagramTransport"));
  if (!flow || !base) return false;
  if (reinterpret_cast<PyTypeObject*>(flow.get())->tp_basicsize !=
      offsetof(DatagramObject, datagram)) {
    PyErr_SetString(PyExc_TypeError,
                    "asyncio's _FlowControlMixin has another layout than expected");
    return false;
  }
  const Owned bases(PyTuple_Pack(2, flow.get(), base.get()));
  if (!bases) return false;
  const Owned type(PyType_FromSpecWithBases(&spec, bases.get()));
  return type && PyModule_AddType(module, reinterpret_cast<PyTypeObject*>(type.get())) == 0;
}

}  // namespace coloop::io
