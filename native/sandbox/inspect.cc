#include "sandbox/inspect.h"

#include <Python.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "interp/per_interpreter.h"
#include "interp/ref.h"
#include "sandbox/address.h"
#include "sandbox/ctypes_symbols.h"
#include "sandbox/events.h"
#include "sandbox/path.h"
#include "sandbox/policy.h"
#include "sandbox/posixsubprocess.h"
#include "sandbox/rules.h"

namespace coloop::sandbox {

namespace {

using interp::Owned;

// Borrowed, or null. Whoever raises an event by sys.audit gives it the arguments he likes.
PyObject* Argument(PyObject* arguments, Py_ssize_t index) {
  return index >= 0 && index < PyTuple_GET_SIZE(arguments) ? PyTuple_GET_ITEM(arguments, index)
                                                           : nullptr;
}

// True if CPython finds the init function of `last` by this name: by its last component, whatever
// package the file is loaded under, up to a NUL, and with `_` for `-`.
bool NameEndsIn(PyObject* name, const char* last) {
  const Py_ssize_t length = PyUnicode_GET_LENGTH(name);
  const Py_ssize_t dot = PyUnicode_FindChar(name, '.', 0, length, -1);
  Py_ssize_t at = dot < 0 ? 0 : dot + 1;
  const auto letter = [&]() -> Py_UCS4 {
    const Py_UCS4 read = at < length ? PyUnicode_READ_CHAR(name, at) : 0;
    return read == '-' ? '_' : read;
  };
  for (; *last != '\0'; ++at, ++last) {
    if (letter() != static_cast<unsigned char>(*last)) return false;
  }
  return letter() == 0;
}

EventId ImportCase(PyObject* arguments) {
  PyObject* name = Argument(arguments, 0);
  PyObject* file = Argument(arguments, 1);
  if (name == nullptr || PyUnicode_Check(name) == 0) return kUnknownEvent;
  if (NameEndsIn(name, "_cffi_backend")) return IdOf("import/_cffi_backend");
  if (NameEndsIn(name, "_interpreters") || NameEndsIn(name, "_xxsubinterpreters")) {
    const EventId made = IdOf("cpython.PyInterpreterState_New");
    return Denied(made) ? made : IdOf("import/_interpreters");
  }
  const bool extension = file != nullptr && file != Py_None;
  if (extension && NameEndsIn(name, "_posixsubprocess") && !LoadingOriginalForkExec()) {
    return IdOf("_posixsubprocess.fork_exec");
  }
  return kUnknownEvent;
}

// What the flags of `open` say; an argument that is no number could say anything later.
struct Access {
  bool reads = true;
  bool writes = true;
};

Access AccessOf(PyObject* arguments) {
  PyObject* flags = Argument(arguments, 2);
  if (flags == nullptr || PyLong_Check(flags) == 0) return {};
  int overflow = 0;
  const long value = PyLong_AsLongAndOverflow(flags, &overflow);
  const bool changes = (value & (O_CREAT | O_TRUNC | O_APPEND)) != 0;
  return {(value & O_ACCMODE) != O_WRONLY, changes || (value & O_ACCMODE) != O_RDONLY};
}

EventId Classify(void* handle, PyObject* name) {
  // ctypes looks up an ordinal only on Windows; bytes come from `_ctypes.dlsym`'s own users.
  const char* text = nullptr;
  if (name != nullptr && PyUnicode_Check(name) != 0) text = PyUnicode_AsUTF8(name);
  if (name != nullptr && PyBytes_Check(name) != 0) text = PyBytes_AS_STRING(name);
  if (text == nullptr) {
    PyErr_Clear();
    return kUnknownEvent;
  }
  return ClassifySymbol(handle, text);
}

void* HandleFrom(PyObject* number) {
  if (number == nullptr || PyLong_Check(number) == 0) return nullptr;
  void* handle = PyLong_AsVoidPtr(number);
  if (handle == nullptr) PyErr_Clear();
  return handle;
}

struct Names {
  PyObject* handle = nullptr;  // "_handle", made when it is first needed
};
interp::PerInterpreter<Names> names;

// Borrowed, or null without an exception.
PyObject* HandleIn(PyObject* attributes) {
  Names* known = names.Known();
  if (known == nullptr) return PyDict_GetItemString(attributes, "_handle");
  if (known->handle == nullptr) known->handle = PyUnicode_InternFromString("_handle");
  PyObject* handle =
      known->handle != nullptr ? PyDict_GetItemWithError(attributes, known->handle) : nullptr;
  if (handle == nullptr) PyErr_Clear();
  return handle;
}

// The library's handle is an attribute of its instance; read without running any Python code. Where
// there is none (a class of its own), the C library stands in for it.
EventId LibrarySymbolCase(PyObject* arguments) {
  PyObject* library = Argument(arguments, 0);
  void* handle = nullptr;
  if (library != nullptr && PyLong_Check(library) == 0) {
    PyObject* attributes = PyObject_GenericGetDict(library, nullptr);
    if (attributes != nullptr) {
      handle = HandleFrom(HandleIn(attributes));
      Py_DECREF(attributes);
    } else {
      PyErr_Clear();
    }
  }
  return Classify(handle, Argument(arguments, 1));
}

// The event of our own of which this one is a case, or kUnknownEvent.
EventId CaseOf(EventId event, PyObject* arguments) {
  switch (event) {
    case IdOf("import"):
      return ImportCase(arguments);
    case IdOf("open"):
      return AccessOf(arguments).writes ? IdOf("open/write") : kUnknownEvent;
    case IdOf("ctypes.dlsym"):
      return LibrarySymbolCase(arguments);
    case IdOf("ctypes.dlsym/handle"):
      return Classify(HandleFrom(Argument(arguments, 0)), Argument(arguments, 1));
    default:
      return kUnknownEvent;
  }
}

// The text that CPython will use as well. Without one, a rule cannot tell what the operation is
// about: an object can answer `__fspath__` or `__index__` differently each time.
class Text {
 public:
  explicit Text(PyObject* object) {
    Py_ssize_t size = 0;
    if (object != nullptr && PyUnicode_Check(object) != 0) {
      text_ = PyUnicode_AsUTF8AndSize(object, &size);
      if (text_ == nullptr) {  // surrogates of a file name that is not UTF-8
        PyErr_Clear();
        encoded_ = Owned(PyUnicode_EncodeFSDefault(object));
        if (!encoded_) PyErr_Clear();
        object = encoded_.get();
      }
    }
    if (text_ == nullptr && object != nullptr && PyBytes_Check(object) != 0) {
      text_ = PyBytes_AS_STRING(object);
      size = PyBytes_GET_SIZE(object);
    }
    size_ = static_cast<std::size_t>(size);
  }
  [[nodiscard]] bool known() const { return text_ != nullptr && std::strlen(text_) == size_; }
  [[nodiscard]] const char* get() const { return text_; }
  [[nodiscard]] bool abstract() const { return size_ > 0 && text_ != nullptr && *text_ == '\0'; }
  [[nodiscard]] std::string_view view() const { return {text_, size_}; }

 private:
  const char* text_ = nullptr;
  std::size_t size_ = 0;
  Owned encoded_;
};

bool IsPathRule(Rule rule) { return rule == Rule::kRead || rule == Rule::kWrite; }

std::string Because(Rule rule, std::string_view value) {
  std::size_t end = std::min<std::size_t>(value.size(), 200);
  while (end > 0 && end < value.size() && (static_cast<unsigned char>(value[end]) & 0xc0U) == 0x80U)
    --end;  // whole characters
  std::string shown(value.substr(0, end));
  for (char& letter : shown) {
    if (static_cast<unsigned char>(letter) < ' ') letter = '?';
  }
  return "The rule \"" + std::string(kRuleNames[static_cast<std::size_t>(rule)]) +
         "\" does not allow '" + shown + "'.";
}

std::string Unclear(Rule rule) {
  return "The rule \"" + std::string(kRuleNames[static_cast<std::size_t>(rule)]) +
         "\" cannot judge it: pass a str, and to os.open an absolute path.";
}

// Empty if it is allowed.
std::string JudgePath(const RuleUse& use, PyObject* path, PyObject* folder_argument) {
  if (path == Py_None) return {};  // the process's own folder, which was judged
  if (path != nullptr && PyLong_Check(path) != 0) return {};  // a descriptor, which was judged
  const Text text(path);
  if (!text.known()) return Unclear(use.rule);
  int folder = -1;
  if (folder_argument != nullptr && text.get()[0] != '/') {
    int overflow = 0;
    const bool number = PyLong_Check(folder_argument) != 0;
    const long value = number ? PyLong_AsLongAndOverflow(folder_argument, &overflow) : 0;
    if (!number || overflow != 0 || value > 1 << 30) return Unclear(use.rule);
    folder = static_cast<int>(value);
  }
  const bool allowed = (!use.link || PathAllowed(use.rule, text.get(), folder, Ending::kLink)) &&
                       (!use.target || PathAllowed(use.rule, text.get(), folder, Ending::kTarget));
  return allowed ? std::string() : Because(use.rule, text.view());
}

// A file's path, or one of SQLite's own names.
std::string JudgeDatabase(const RuleUse& use, PyObject* path) {
  const Text text(path);
  if (!text.known() || text.view().starts_with("file:")) return Unclear(use.rule);
  if (text.view().empty() || text.view() == ":memory:") return {};
  return JudgePath(use, path, nullptr);
}

std::string JudgeLocalAddress(const RuleUse& use, PyObject* address) {
  const Text text(address);
  if (text.abstract()) {
    char name[sizeof(sockaddr_un::sun_path) + 1] = "@";
    const std::string_view rest = text.view().substr(1);
    // The kernel's names may have a NUL; a longer one is nobody's.
    if (rest.size() >= sizeof name - 1 || rest.find('\0') != rest.npos) return Unclear(use.rule);
    rest.copy(name + 1, rest.size());
    return NameAllowed(use.rule, name) ? std::string() : Because(use.rule, name);
  }
  return JudgePath(use, address, nullptr);
}

// What socket objects take for an address, of any family.
std::string JudgeAddress(const RuleUse& use, PyObject* address) {
  if (address == Py_None) return {};  // of a socket that is connected
  if (address != nullptr && (PyUnicode_Check(address) != 0 || PyBytes_Check(address) != 0)) {
    return JudgeLocalAddress(use, address);
  }
  if (address == nullptr || PyTuple_Check(address) == 0) return Unclear(use.rule);
  const Text host(Argument(address, 0));
  PyObject* port = Argument(address, 1);
  if (!host.known() || port == nullptr || PyLong_Check(port) == 0) return Unclear(use.rule);
  int overflow = 0;
  const long number = PyLong_AsLongAndOverflow(port, &overflow);
  if (overflow != 0 || number < 0 || number > 65535) return Unclear(use.rule);
  const char* name = host.get();
  if (host.view().empty()) name = "0.0.0.0";
  if (host.view() == "<broadcast>") name = "255.255.255.255";
  if (HostAllowed(use.rule, name, static_cast<int>(number))) return {};
  return Because(use.rule, std::string(name) + ":" + std::to_string(number));
}

// The argument of the resolver: a name, or the address of a socket to find the name of.
std::string JudgeName(const RuleUse& use, PyObject* name) {
  if (name == Py_None) return {};  // every or no host, as the flags say
  if (name != nullptr && PyTuple_Check(name) != 0) name = Argument(name, 0);
  const Text text(name);
  if (!text.known()) return Unclear(use.rule);
  const bool forward =
      use.event == IdOf("socket.getaddrinfo") || use.event == IdOf("socket.gethostbyname");
  if (forward && ParseAddress(text.get())) return {};  // asks nobody
  if (text.view().empty() || HostAllowed(use.rule, text.get(), -1)) return {};
  return Because(use.rule, text.view());
}

std::string JudgeUse(const RuleUse& use, PyObject* arguments) {
  PyObject* value = Argument(arguments, use.argument);
  if (use.event == IdOf("sqlite3.connect")) return JudgeDatabase(use, value);
  if (IsPathRule(use.rule)) return JudgePath(use, value, Argument(arguments, use.folder_argument));
  if (use.rule == Rule::kConnect || use.rule == Rule::kBind) return JudgeAddress(use, value);
  if (use.rule == Rule::kResolve) return JudgeName(use, value);
  if (value == Py_None) return {};  // dlopen of the program itself, which ctypes needs to load
  const Text text(value);
  if (!text.known()) return Unclear(use.rule);
  return NameAllowed(use.rule, text.get()) ? std::string() : Because(use.rule, text.view());
}

std::string JudgeOpen(PyObject* arguments) {
  const Access access = AccessOf(arguments);
  PyObject* path = Argument(arguments, 0);
  // os.open's event has no mode, and does not tell the folder that its path may start from.
  const bool from_os = Argument(arguments, 1) == nullptr || Argument(arguments, 1) == Py_None;
  for (const Rule rule : {Rule::kRead, Rule::kWrite}) {
    const bool asked = rule == Rule::kRead ? access.reads : access.writes;
    if (!asked || !Restricted(rule)) continue;
    const Text text(path);
    if (from_os && text.known() && text.get()[0] != '/') return Unclear(rule);
    const RuleUse use{IdOf("open"), rule, 0, -1, false, true};
    std::string why = JudgePath(use, path, nullptr);
    if (!why.empty()) return why;
  }
  return {};
}

std::string Judge(EventId event, PyObject* arguments) {
  if (event == IdOf("open")) return JudgeOpen(arguments);
  for (const RuleUse& use : RuleUses()) {
    if (use.event != event || !Restricted(use.rule)) continue;
    std::string why = JudgeUse(use, arguments);
    if (!why.empty()) return why;
  }
  return {};
}

}  // namespace

Finding Inspect(EventId event, PyObject* arguments) {
  Finding finding;
  const EventId one = CaseOf(event, arguments);
  // The extension file of _posixsubprocess stays out even where fork_exec is allowed.
  const bool original = one == IdOf("_posixsubprocess.fork_exec");
  if (one != kUnknownEvent && (original || Denied(one))) {
    finding.refused = one;
    return finding;
  }
  std::string why = Judge(event, arguments);
  if (!why.empty()) {
    finding.refused = event;
    finding.why = std::move(why);
  } else if (one != kUnknownEvent && Watched(one)) {
    finding.watched = one;
  } else if (Watched(event)) {
    finding.watched = event;
  }
  return finding;
}

PyObject* CffiFile(PyObject* arguments) {
  PyObject* name = Argument(arguments, 0);
  PyObject* file = Argument(arguments, 1);
  const bool loads = name != nullptr && PyUnicode_Check(name) != 0 && file != nullptr &&
                     PyUnicode_Check(file) != 0 && NameEndsIn(name, "_cffi_backend");
  return loads ? file : nullptr;
}

}  // namespace coloop::sandbox
