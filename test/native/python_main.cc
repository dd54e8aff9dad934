// coloop_python: Python with `_coloop` and the sandbox, without Node. Takes -c CODE, -m MODULE or a
// script, and their arguments.
#include <Python.h>
#include <signal.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "embed.h"
#include "interp/gil.h"
#include "interp/interpreter.h"

namespace {

constexpr const char* kRunner = R"(
import runpy, sys
def run(arguments):
    sys.path.insert(0, "")
    if arguments[:1] == ["-c"]:
        sys.argv = ["-c", *arguments[2:]]
        exec(compile(arguments[1], "<string>", "exec"), sys.modules["__main__"].__dict__)
    elif arguments[:1] == ["-m"]:
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")
def main(arguments):
    try:
        run(arguments)
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            return int(stop.code or 0)
        print(stop.code, file=sys.stderr)
        return 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0
)";

int Run(int count, char** arguments) {
  PyObject* globals = PyDict_New();
  PyDict_SetItemString(globals, "__builtins__", PyEval_GetBuiltins());
  PyObject* defined = PyRun_String(kRunner, Py_file_input, globals, globals);
  PyObject* list = PyList_New(0);
  for (int i = 1; i < count; ++i) {
    PyObject* argument = PyUnicode_DecodeFSDefault(arguments[i]);
    PyList_Append(list, argument);
    Py_XDECREF(argument);
  }
  PyObject* status = defined != nullptr
                         ? PyObject_CallOneArg(PyDict_GetItemString(globals, "main"), list)
                         : nullptr;
  if (status == nullptr) PyErr_Print();
  const int code = status != nullptr ? static_cast<int>(PyLong_AsLong(status)) : 1;
  Py_XDECREF(defined);
  Py_XDECREF(status);
  Py_DECREF(list);
  Py_DECREF(globals);
  return code;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) {
    std::fprintf(stderr, "usage: coloop_python -c CODE | -m MODULE | SCRIPT [ARGUMENT ...]\n");
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);  // as Node does
  if (!coloop::test::StartPython()) return 2;
  int code = 0;
  {
    const coloop::interp::GilAcquire acquire;
    code = Run(count, arguments);
  }
  (void)coloop::interp::RunExitSequence(2000, 2, [](const coloop::interp::Gil&) {});
  std::fflush(nullptr);
#ifdef __SANITIZE_ADDRESS__
  if (code == 0 && __lsan_do_recoverable_leak_check() != 0) code = 3;
#endif
  std::_Exit(code);
}
