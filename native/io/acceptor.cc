#include "io/acceptor.h"

#include <Python.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "interp/error.h"
#include "interp/gil.h"
#include "interp/ref.h"
#include "io/address.h"
#include "io/context_scope.h"
#include "io/stream.h"
#include "io/stream_type.h"
#include "loop/channel.h"
#include "loop/loop.h"

namespace coloop::io {

using interp::Gil;
using interp::Owned;

namespace {

// Serves a listening socket: as asyncio's _accept_connection, without a Task for each connection,
// but with a context for each, which is a copy of the one that the serving began in.
class Acceptor final : public loop::Channel {
 public:
  Acceptor(PyObject* self, PyObject* loop_object, loop::Loop& native, int descriptor)
      : Channel(self), fd(descriptor), loop_object(Owned::NewRef(loop_object)), loop_(native) {}

  [[nodiscard]] Kind kind() const override { return Kind::kAcceptor; }
  void Note(unsigned) override {}
  [[nodiscard]] bool Run(const Gil& gil) override;
  [[nodiscard]] bool Flush(const Gil&) override { return true; }
  void Dropped() override { fd = -1; }

  [[nodiscard]] bool Start() {
    return SetUpSocket(fd, Address::OfSocket(fd), &trigger_) && loop_.Attach(fd, *this);
  }
  void Stop() {
    if (fd >= 0) loop_.Detach(std::exchange(fd, -1), *this, true);
  }

  int fd;
  Owned loop_object;
  Owned factory;
  Owned transport_class;
  Owned server;
  Owned context;
  long backlog = 100;

 private:
  [[nodiscard]] bool AcceptFailed(const Gil& gil, int error);
  [[nodiscard]] bool Accepted(const Gil& gil, int accepted, const Address& peer);
  [[nodiscard]] bool Connect(const Gil& gil, int accepted, const Address& peer);

  loop::Loop& loop_;
  Stream::Trigger trigger_ = Stream::Trigger::kLevel;  // of what is accepted
};

bool Acceptor::Run(const Gil& gil) {
  for (long i = 0; i < backlog; ++i) {
    if (fd < 0) return true;  // stopped by a protocol factory
    Address peer;
    socklen_t length = sizeof(peer.storage);
    const int accepted = accept4(fd, reinterpret_cast<sockaddr*>(&peer.storage), &length,
                                 SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted < 0) return AcceptFailed(gil, errno);
    peer.length = length;
    if (!Accepted(gil, accepted, peer)) {
      loop_.Queue(*this);  // no event comes for those that wait already
      return false;
    }
  }
  loop_.Queue(*this);  // there may be more; others have their turn first
  return true;
}

bool Acceptor::Accepted(const Gil& gil, int accepted, const Address& peer) {
  const Owned own(PyContext_Copy(context.get()));
  const ContextScope scope(own);
  if (own && scope.Enter()) return scope.Exit(gil, Connect(gil, accepted, peer));
  close(accepted);
  return false;
}

bool Acceptor::AcceptFailed(const Gil& gil, int error) {
  if (error == EAGAIN || error == EWOULDBLOCK) return true;
  if (error == EINTR || error == ECONNABORTED) {
    loop_.Queue(*this);
    return true;
  }
  errno = error;
  PyErr_SetFromErrno(PyExc_OSError);
  const Owned exception = interp::TakeException(gil);
  const ContextScope scope(context);
  if (!scope.Enter()) return false;
  const Owned told(
      PyObject_CallMethod(loop_object.get(), "_accept_failed", "OO", object(), exception.get()));
  // No event comes for those that wait already; but what does not listen gives no others.
  const bool listens = error != EBADF && error != ENOTSOCK && error != EINVAL;
  if (listens && fd >= 0) loop_.Queue(*this);
  return scope.Exit(gil, static_cast<bool>(told));
}

bool Acceptor::Connect(const Gil& gil, int accepted, const Address& peer) {
  const Owned protocol(PyObject_CallNoArgs(factory.get()));
  Owned transport;
  if (protocol) {
    transport = AcceptStream(gil, transport_class.get(), loop_object.get(), accepted, peer,
                             trigger_, protocol.get(), server.get());
    if (transport) {
      if (!loop_.debug) return true;
      const Owned logged(PyObject_CallMethod(loop_object.get(), "_log_accepted", "OO", server.get(),
                                             transport.get()));
      return static_cast<bool>(logged);
    }
  } else {
    close(accepted);
  }
  if (PyErr_ExceptionMatches(PyExc_SystemExit) != 0 ||
      PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) != 0) {
    return false;
  }
  const Owned exception = interp::TakeException(gil);
  const Owned told(PyObject_CallMethod(loop_object.get(), "_connect_failed", "OO", exception.get(),
                                       protocol ? protocol.get() : Py_None));
  return static_cast<bool>(told);
}

struct AcceptorObject {
  PyObject_HEAD Acceptor* acceptor;
};

Acceptor* Find(PyObject* self) { return reinterpret_cast<AcceptorObject*>(self)->acceptor; }

// Acceptor(loop, fd, protocol_factory, transport_class, server, backlog)
PyObject* New(PyTypeObject* type, PyObject* args, PyObject*) {
  PyObject* loop = nullptr;
  int fd = -1;
  PyObject* factory = nullptr;
  PyObject* transport_class = nullptr;
  PyObject* server = nullptr;
  long backlog = 0;
  if (PyArg_ParseTuple(args, "OiOOOl", &loop, &fd, &factory, &transport_class, &server, &backlog) ==
      0) {
    return nullptr;
  }
  const Gil gil = Gil::FromPython();
  loop::Loop* native = loop::Loop::From(gil, loop);
  if (native == nullptr || native->closed) {
    PyErr_SetString(PyExc_RuntimeError, "an open ErlangEventLoop is required");
    return nullptr;
  }
  if (!IsStreamType(transport_class)) {
    return PyErr_Format(PyExc_TypeError, "a subclass of Stream is required, not %R",
                        transport_class);
  }
  Owned context(PyContext_CopyCurrent());
  Owned self(context ? type->tp_alloc(type, 0) : nullptr);
  if (!self) return nullptr;
  auto* acceptor = new Acceptor(self.get(), loop, *native, fd);
  reinterpret_cast<AcceptorObject*>(self.get())->acceptor = acceptor;
  acceptor->factory = Owned::NewRef(factory);
  acceptor->transport_class = Owned::NewRef(transport_class);
  acceptor->server = Owned::NewRef(server);
  acceptor->context = std::move(context);
  acceptor->backlog = backlog > 0 ? backlog : 1;
  if (acceptor->Start()) return self.release();
  acceptor->fd = -1;
  return PyErr_SetFromErrno(PyExc_OSError);
}

PyObject* Stop(PyObject* self, PyObject*) {
  const Owned held = Owned::NewRef(self);
  Find(self)->Stop();
  Py_RETURN_NONE;
}

PyMethodDef methods[] = {
    {"stop", Stop, METH_NOARGS, "Ends it; the socket stays open."},
    {nullptr, nullptr, 0, nullptr},
};

PyObject* GetDescriptor(PyObject* self, void*) { return PyLong_FromLong(Find(self)->fd); }

PyGetSetDef getset[] = {
    {"fd", GetDescriptor, nullptr, "Its listening descriptor; -1 when it has ended.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

int Traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  const Acceptor* acceptor = Find(self);
  if (acceptor == nullptr) return 0;
  Py_VISIT(acceptor->loop_object.get());
  Py_VISIT(acceptor->factory.get());
  Py_VISIT(acceptor->transport_class.get());
  Py_VISIT(acceptor->server.get());
  Py_VISIT(acceptor->context.get());
  return 0;
}

int Clear(PyObject* self) {
  Acceptor* acceptor = Find(self);
  if (acceptor == nullptr || acceptor->fd >= 0) return 0;  // what serves is no garbage
  acceptor->factory.reset();
  acceptor->server.reset();
  acceptor->context.reset();
  return 0;
}

void Dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  delete std::exchange(reinterpret_cast<AcceptorObject*>(self)->acceptor, nullptr);
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

PyType_Spec spec = {"_coloop.Acceptor", sizeof(AcceptorObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots};

}  // namespace

bool AddAcceptorType(const Gil&, PyObject* module) {
  const Owned type(PyType_FromSpec(&spec));
  return type && PyModule_AddType(module, reinterpret_cast<PyTypeObject*>(type.get())) == 0;
}

}  // namespace coloop::io
