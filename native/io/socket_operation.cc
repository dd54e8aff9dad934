#include "io/socket_operation.h"

#include <Python.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "interp/ref.h"
#include "loop/loop.h"

namespace coloop::io {

using interp::Owned;

namespace {

// The exception that is set is that of a call that would have had to wait.
bool WasTooEarly() {
  if (PyErr_ExceptionMatches(PyExc_BlockingIOError) == 0 &&
      PyErr_ExceptionMatches(PyExc_InterruptedError) == 0) {
    return false;
  }
  PyErr_Clear();
  return true;
}

class Accept final : public Operation {
 public:
  explicit Accept(PyObject* socket) : socket_(Owned::NewRef(socket)) {}

  State Try(loop::Loop&, int, Readiness* readiness) override {
    Owned accepted(PyObject_CallMethod(socket_.get(), "accept", nullptr));
    if (!accepted) {
      readiness->drained = WasTooEarly();
      return readiness->drained ? State::kWaits : State::kFailed;
    }
    PyObject* connection = PyTuple_GetItem(accepted.get(), 0);
    const Owned set(connection != nullptr
                        ? PyObject_CallMethod(connection, "setblocking", "O", Py_False)
                        : nullptr);
    return set ? Finish(accepted.release()) : State::kFailed;
  }
  int Traverse(visitproc visit, void* arg) const override {
    Py_VISIT(socket_.get());
    return 0;
  }

 private:
  Owned socket_;
};

class Connect final : public Operation {
 public:
  explicit Connect(PyObject* address) : address_(Owned::NewRef(address)) {}

  // Even if it is made already, as in asyncio: the server that accepts it may be on this loop, and
  // comes to know of it by the same poll.
  [[nodiscard]] bool waits_first() const override { return true; }

  State Try(loop::Loop&, int fd, Readiness* readiness) override {
    pollfd state{fd, POLLOUT, 0};
    if (poll(&state, 1, 0) <= 0) {
      readiness->drained = true;
      return State::kWaits;
    }
    int error = 0;
    socklen_t length = sizeof(error);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return Fail(errno, readiness);
    if (error == 0) return Finish(Owned::NewRef(Py_None).release());
    const Owned text(PyUnicode_FromFormat("Connect call failed %S", address_.get()));
    const Owned exception(text ? PyObject_CallFunction(PyExc_OSError, "iO", error, text.get())
                               : nullptr);
    if (exception) PyErr_SetObject(PyExceptionInstance_Class(exception.get()), exception.get());
    return State::kFailed;
  }
  int Traverse(visitproc visit, void* arg) const override {
    Py_VISIT(address_.get());
    return 0;
  }

 private:
  Owned address_;
};

}  // namespace

Operation::State Operation::Fail(int error, Readiness* readiness) {
  if (error == EAGAIN || error == EWOULDBLOCK || error == EINTR) {
    readiness->drained = error != EINTR;
    return State::kWaits;
  }
  errno = error;
  PyErr_SetFromErrno(PyExc_OSError);
  return State::kFailed;
}

std::unique_ptr<Operation> MakeAccept(PyObject* socket) { return std::make_unique<Accept>(socket); }

std::unique_ptr<Operation> MakeConnect(PyObject* address) {
  return std::make_unique<Connect>(address);
}

}  // namespace coloop::io
