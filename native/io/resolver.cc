#include "io/resolver.h"

#include <Python.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <map>
#include <utility>

#include "interp/gil.h"
#include "interp/per_interpreter.h"
#include "interp/ref.h"

namespace coloop::io {

using interp::Gil;
using interp::Owned;

namespace {

// With these getaddrinfo() answers alike for each address of a family. AI_ADDRCONFIG asks for the
// machine's addresses, AI_CANONNAME and AI_V4MAPPED look at the address itself.
constexpr int kPlainFlags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV;

struct Question {
  int family = 0;
  int type = 0;
  int protocol = 0;
  int flags = 0;
  int address_family = 0;  // of the literal
  int port = -1;           // -1: None
};

// What the C library said once for such a question: a list of (family, type, proto, canonname,
// sockaddr), of which all but the sockaddr holds for other addresses.
using Answers = std::map<std::array<int, 6>, Owned>;

struct ResolverState {
  Answers answers;
  PyObject* getaddrinfo = nullptr;
};
interp::PerInterpreter<ResolverState> state;

bool ReadInt(PyObject* object, int* value) {
  if (PyLong_Check(object) == 0) return false;
  int overflow = 0;
  const long number = PyLong_AsLongAndOverflow(object, &overflow);
  *value = static_cast<int>(number);
  return overflow == 0 && *value == number;
}

bool ReadPort(PyObject* object, int* port) {
  if (object == Py_None) return true;
  // No subclass of int: socket.getaddrinfo() takes none.
  return PyLong_CheckExact(object) != 0 && ReadInt(object, port) && *port >= 0 && *port <= 0xFFFF;
}

// The address of a literal as the C library writes it; null without an exception if it is none.
const char* Canonical(PyObject* host, int* family, std::array<char, INET6_ADDRSTRLEN>* text) {
  if (PyUnicode_Check(host) == 0 || PyUnicode_IS_ASCII(host) == 0) return nullptr;
  Py_ssize_t length = 0;
  const char* given = PyUnicode_AsUTF8AndSize(host, &length);
  if (given == nullptr || length >= INET6_ADDRSTRLEN) {
    PyErr_Clear();
    return nullptr;
  }
  in6_addr address;  // also room for an in_addr
  for (const int each : {AF_INET, AF_INET6}) {
    *family = each;
    if (inet_pton(each, given, &address) == 1) {
      return inet_ntop(each, &address, text->data(), text->size());
    }
  }
  return nullptr;
}

// The known answer, asked for once; null with an exception set.
PyObject* Answer(const Question& question) {
  const std::array<int, 6> key = {question.family,         question.type,
                                  question.protocol,       question.flags,
                                  question.address_family, question.port >= 0 ? 1 : 0};
  const auto found = state->answers.find(key);
  if (found != state->answers.end()) return found->second.get();
  const char* host = question.address_family == AF_INET ? "127.0.0.1" : "::1";
  Owned answer(question.port >= 0
                   ? PyObject_CallFunction(state->getaddrinfo, "siiiii", host, 1, question.family,
                                           question.type, question.protocol, question.flags)
                   : PyObject_CallFunction(state->getaddrinfo, "sOiiii", host, Py_None,
                                           question.family, question.type, question.protocol,
                                           question.flags));
  if (!answer) return nullptr;
  return (state->answers[key] = std::move(answer)).get();
}

Owned SocketAddress(const char* host, const Question& question) {
  const int port = question.port >= 0 ? question.port : 0;
  return Owned(question.address_family == AF_INET ? Py_BuildValue("si", host, port)
                                                  : Py_BuildValue("siii", host, port, 0, 0));
}

Owned Fill(PyObject* answer, const Owned& address) {
  Owned list(PyList_New(PyList_GET_SIZE(answer)));
  for (Py_ssize_t i = 0; list && i < PyList_GET_SIZE(list.get()); ++i) {
    PyObject* known = PyList_GET_ITEM(answer, i);
    PyObject* item =
        PyTuple_Pack(5, PyTuple_GET_ITEM(known, 0), PyTuple_GET_ITEM(known, 1),
                     PyTuple_GET_ITEM(known, 2), PyTuple_GET_ITEM(known, 3), address.get());
    if (item == nullptr) return Owned();
    PyList_SET_ITEM(list.get(), i, item);
  }
  return list;
}

// resolve_literal(host, port, family, type, proto, flags) -> what socket.getaddrinfo() returns, or
// None if that has to be asked
PyObject* ResolveLiteral(PyObject*, PyObject* const* args, Py_ssize_t count) {
  Question question;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (count != 6) {
    PyErr_SetString(PyExc_TypeError, "resolve_literal() takes 6 arguments");
    return nullptr;
  }
  if (!ReadInt(args[2], &question.family) || !ReadInt(args[3], &question.type) ||
      !ReadInt(args[4], &question.protocol) || !ReadInt(args[5], &question.flags) ||
      (question.flags & ~kPlainFlags) != 0 || !ReadPort(args[1], &question.port)) {
    Py_RETURN_NONE;
  }
  const char* host = Canonical(args[0], &question.address_family, &text);
  if (host == nullptr) Py_RETURN_NONE;
  if (question.family != AF_UNSPEC && question.family != question.address_family) Py_RETURN_NONE;
  if (PySys_Audit("socket.getaddrinfo", "OOiii", args[0], args[1], question.family, question.type,
                  question.protocol) < 0) {
    return nullptr;
  }
  PyObject* answer = Answer(question);
  if (answer == nullptr) {
    PyErr_Clear();  // it says so itself, of the address that it is about
    Py_RETURN_NONE;
  }
  const Owned address = SocketAddress(host, question);
  return address ? Fill(answer, address).release() : nullptr;
}

PyMethodDef functions[] = {
    {"resolve_literal", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(ResolveLiteral)),
     METH_FASTCALL, "What getaddrinfo() says of a numeric address; None: it must be asked."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

bool AddResolver(const Gil&, PyObject* module) {
  const Owned sockets(PyImport_ImportModule("socket"));
  if (!sockets) return false;
  state->getaddrinfo = PyObject_GetAttrString(sockets.get(), "getaddrinfo");
  return state->getaddrinfo != nullptr && PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace coloop::io
