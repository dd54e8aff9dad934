// Loads the module a moment before Python does, with the same flags, so that it is the same one.
#include "sandbox/cffi.h"

#include <Python.h>

#include "elf/platform.h"

#if COLOOP_HAS_SLOTS

#include <dlfcn.h>

#include <string>
#include <string_view>
#include <utility>

#include "elf/image.h"
#include "elf/slots.h"
#include "interp/ref.h"
#include "sandbox/ctypes_symbols.h"
#include "sandbox/events.h"
#include "sandbox/policy.h"
#include "sandbox/refusal.h"
#include "sandbox/reports.h"

namespace coloop::sandbox {

namespace {

using interp::Owned;

thread_local std::string refused;  // what dlerror says next, and
thread_local std::string said;     // what it said last

// cffi calls both with the GIL held.
void* GuardedDlsym(void* handle, const char* name) {
  refused.clear();
  const EventId event = ClassifySymbol(handle, name);
  if (event == kUnknownEvent || !Denied(event)) return dlsym(handle, name);
  const Owned arguments(Py_BuildValue("(s)", name));
  if (!arguments) PyErr_Clear();
  ReportEvent(event, Reported::kRefused, arguments.get());
  refused = RefusalText(event);
  return nullptr;
}

char* GuardedDlerror() {
  if (refused.empty()) return dlerror();  // NOLINT(concurrency-mt-unsafe): glibc's is
  said = std::exchange(refused, {});
  return said.data();
}

const void* Guarded(std::string_view name) {
  if (name == "dlsym") return reinterpret_cast<const void*>(GuardedDlsym);
  if (name == "dlerror") return reinterpret_cast<const void*>(GuardedDlerror);
  return nullptr;
}

int LoadFlags() {
  PyObject* get = PySys_GetObject("getdlopenflags");
  const Owned flags(get != nullptr ? PyObject_CallNoArgs(get) : nullptr);
  const long value = flags ? PyLong_AsLong(flags.get()) : -1;
  return value < 0 ? RTLD_NOW : static_cast<int>(value);
}

}  // namespace

void GuardCffi(PyObject* file) {
  const Owned encoded(PyUnicode_EncodeFSDefault(file));
  if (encoded) {
    std::string path = PyBytes_AS_STRING(encoded.get());
    if (path.find('/') == std::string::npos) path.insert(0, "./");  // as Python does
    void* library = dlopen(path.c_str(), LoadFlags());
    elf::Image image;
    // Whatever is wrong with the file, Python finds out for itself.
    if (library != nullptr && ReadImage(library, &image)) {
      (void)elf::Rebind(image, [](const char* name, const void*) { return Guarded(name); });
    }
  }
  PyErr_Clear();
}

}  // namespace coloop::sandbox

#else

namespace coloop::sandbox {

void GuardCffi(PyObject*) {}

}  // namespace coloop::sandbox

#endif
