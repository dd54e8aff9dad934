// The types `_coloop.JsRef`, `_coloop.JsFunctionRef` and `_coloop.Opaque`.
#include "interp/js_ref.h"

#include <Python.h>
#include <structmember.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/check.h"
#include "base/counters.h"
#include "base/host.h"
#include "interp/gil.h"
#include "interp/method.h"
#include "interp/per_interpreter.h"
#include "interp/ref.h"

namespace coloop::interp {

namespace {

struct JsRefObject {
  PyObject_HEAD std::shared_ptr<HostLink> link;
  std::uint32_t id;
  PyObject* weakrefs;
};

struct ScopeObject {
  PyObject_HEAD std::shared_ptr<HostLink> link;
  std::uint32_t id;
};

struct OpaqueObject {
  PyObject_HEAD PyObject* value;
};

struct Types {
  PyTypeObject* js_ref = nullptr;
  PyTypeObject* js_function = nullptr;
  PyTypeObject* opaque = nullptr;
  PyTypeObject* scope = nullptr;
  // The classes of `_js.py`, by HostKind.
  std::array<PyTypeObject*, kHostKinds> hosts{};
  PyObject* error_factory = nullptr;  // (JsRef of an Error) -> JsError
};
PerInterpreter<Types> types;

constexpr std::uint32_t kCallOperation = 0;  // the first operation of the JavaScript side's table

JsRefObject* AsJsRef(PyObject* object) { return reinterpret_cast<JsRefObject*>(object); }

void JsRefDealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  if (PyType_IS_GC(type)) PyObject_GC_UnTrack(self);
  JsRefObject* ref = AsJsRef(self);
  if (ref->link != nullptr) {  // first, so that a weakref's callback cannot find it again
    const auto entry = ref->link->entries.find(ref->id);
    if (entry != ref->link->entries.end() && entry->second.alive == self) {
      entry->second.alive = nullptr;
    }
  }
  if (ref->weakrefs != nullptr) PyObject_ClearWeakRefs(self);
  if (ref->link != nullptr) {
    if (ref->link->host != nullptr) ref->link->host->Released(ref->id);
    base::CountLive(base::Live::kJsRef, -1);
  }
  ref->link.~shared_ptr();
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* Perform(PyObject* self, std::uint32_t operation, PyObject* const* arguments,
                  Py_ssize_t count) {
  JsRefObject* ref = AsJsRef(self);
  const std::shared_ptr<base::Host> host = ref->link != nullptr ? ref->link->host : nullptr;
  if (host == nullptr) {
    PyErr_SetString(PyExc_RuntimeError, "the JavaScript environment of this object has ended");
    return nullptr;
  }
  return host->Perform(operation, ref->id, arguments, static_cast<std::size_t>(count));
}

PyObject* JsRefPerform(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  if (count < 1) {
    PyErr_SetString(PyExc_TypeError, "_perform() needs an operation");
    return nullptr;
  }
  const long operation = PyLong_AsLong(arguments[0]);
  if (operation < 0) {
    if (PyErr_Occurred() == nullptr) PyErr_SetString(PyExc_ValueError, "no such operation");
    return nullptr;
  }
  return Perform(self, static_cast<std::uint32_t>(operation), arguments + 1, count - 1);
}

PyObject* JsFunctionVectorcall(PyObject* self, PyObject* args, PyObject* kwargs) {
  if (kwargs != nullptr && PyDict_GET_SIZE(kwargs) > 0) {
    PyErr_SetString(PyExc_TypeError,
                    "JavaScript functions take no keyword arguments; pass a dict as the last one");
    return nullptr;
  }
  return Perform(self, kCallOperation, &PyTuple_GET_ITEM(args, 0), PyTuple_GET_SIZE(args));
}

PyObject* JsRefAlive(PyObject* self, void*) {
  const JsRefObject* ref = AsJsRef(self);
  const bool has_host = ref->link != nullptr && ref->link->host != nullptr;
  return PyBool_FromLong(has_host && ref->link->host->answers() ? 1 : 0);
}

PyMethodDef js_ref_methods[] = {
    {"_perform", AsMethod(JsRefPerform), METH_FASTCALL,
     "Performs an operation of the JavaScript side's table on the value."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef js_ref_getset[] = {
    {"_alive", JsRefAlive, nullptr, "False once the JavaScript environment ends.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMemberDef js_ref_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(JsRefObject, weakrefs), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot js_ref_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(JsRefDealloc)},
    {Py_tp_methods, js_ref_methods},
    {Py_tp_getset, js_ref_getset},
    {Py_tp_members, js_ref_members},
    {0, nullptr},
};

PyType_Spec js_ref_spec = {
    "_coloop.JsRef", sizeof(JsRefObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION, js_ref_slots};

PyType_Slot js_function_slots[] = {
    {Py_tp_call, reinterpret_cast<void*>(JsFunctionVectorcall)},
    {0, nullptr},
};

PyType_Spec js_function_spec = {
    "_coloop.JsFunctionRef", sizeof(JsRefObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    js_function_slots};

void OpaqueDealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  Py_XDECREF(reinterpret_cast<OpaqueObject*>(self)->value);
  type->tp_free(self);
  Py_DECREF(type);
}

PyType_Slot opaque_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(OpaqueDealloc)},
    {0, nullptr},
};

PyType_Spec opaque_spec = {"_coloop.Opaque", sizeof(OpaqueObject), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, opaque_slots};

void ScopeDealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  auto* scope = reinterpret_cast<ScopeObject*>(self);
  if (scope->link->host != nullptr) scope->link->host->ScopeReleased(scope->id);
  scope->link.~shared_ptr();
  type->tp_free(self);
  Py_DECREF(type);
}

PyType_Slot scope_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(ScopeDealloc)},
    {0, nullptr},
};

PyType_Spec scope_spec = {"_coloop.Scope", sizeof(ScopeObject), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, scope_slots};

PyObject* MakeOpaque(PyObject*, PyObject* value) {
  PyObject* object = types->opaque->tp_alloc(types->opaque, 0);
  if (object == nullptr) return nullptr;
  Py_INCREF(value);
  reinterpret_cast<OpaqueObject*>(object)->value = value;
  return object;
}

PyObject* SetHostTypes(PyObject*, PyObject* args) {
  PyObject* classes = nullptr;
  PyObject* factory = nullptr;
  if (PyArg_ParseTuple(args, "OO", &classes, &factory) == 0) return nullptr;
  if (!PyTuple_Check(classes) || PyTuple_GET_SIZE(classes) != static_cast<Py_ssize_t>(kHostKinds)) {
    PyErr_SetString(PyExc_TypeError, "_set_host_types() takes one class for each kind");
    return nullptr;
  }
  for (std::size_t i = 0; i < kHostKinds; ++i) {
    PyObject* type = PyTuple_GET_ITEM(classes, static_cast<Py_ssize_t>(i));
    if (!PyType_Check(type) ||
        PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(type), types->js_ref) == 0) {
      PyErr_SetString(PyExc_TypeError, "a host type is a subclass of JsRef");
      return nullptr;
    }
    Py_INCREF(type);
    Py_XSETREF(types->hosts[i], reinterpret_cast<PyTypeObject*>(type));
  }
  Py_INCREF(factory);
  Py_XSETREF(types->error_factory, factory);
  Py_RETURN_NONE;
}

PyMethodDef functions[] = {
    {"opaque", MakeOpaque, METH_O, "Wraps an object so that it crosses as a proxy."},
    {"_set_host_types", SetHostTypes, METH_VARARGS,
     "The classes of JavaScript values by kind, and what makes an exception of an error."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

Owned MakeJsRef(const Gil&, const std::shared_ptr<HostLink>& link, std::uint32_t id,
                std::size_t kind) {
  HostLink::Entry& entry = link->entries[id];
  if (entry.alive != nullptr) return Owned::NewRef(entry.alive);
  COLOOP_CHECK(kind < kHostKinds);
  PyTypeObject* type = types->hosts[kind];
  if (type == nullptr) {
    PyErr_SetString(PyExc_RuntimeError, "coloop's Python package is not loaded");
    return Owned();
  }
  PyObject* object = type->tp_alloc(type, 0);
  if (object == nullptr) return Owned();
  JsRefObject* ref = AsJsRef(object);
  new (&ref->link) std::shared_ptr<HostLink>(link);
  ref->id = id;
  entry.alive = object;
  ++entry.wrappers;
  base::CountLive(base::Live::kJsRef, 1);
  return Owned(object);
}

Owned MakeScope(const Gil&, const std::shared_ptr<HostLink>& link, std::uint32_t id) {
  PyObject* object = types->scope->tp_alloc(types->scope, 0);
  if (object == nullptr) return Owned();
  auto* scope = reinterpret_cast<ScopeObject*>(object);
  new (&scope->link) std::shared_ptr<HostLink>(link);
  scope->id = id;
  return Owned(object);
}

std::uint32_t ScopeId(PyObject* object, const HostLink& link) {
  if (Py_TYPE(object) != types->scope) return 0;
  const auto* scope = reinterpret_cast<ScopeObject*>(object);
  return scope->link.get() == &link ? scope->id : 0;
}

Owned MakeJsError(const Gil&, PyObject* error_ref) {
  return Owned(PyObject_CallOneArg(types->error_factory, error_ref));
}

bool IsJsRefOf(PyObject* object, const HostLink& link, std::uint32_t* id) {
  if (PyObject_TypeCheck(object, types->js_ref) == 0) return false;
  const JsRefObject* ref = AsJsRef(object);
  if (ref->link.get() != &link) return false;
  *id = ref->id;
  return true;
}

PyObject* UnwrapOpaque(PyObject* object) {
  if (Py_TYPE(object) != types->opaque) return nullptr;
  return reinterpret_cast<OpaqueObject*>(object)->value;
}

bool AddJsRefToModule(const Gil&, PyObject* module) {
  types->js_ref = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&js_ref_spec));
  if (types->js_ref == nullptr) return false;
  const Owned bases(PyTuple_Pack(1, types->js_ref));
  if (!bases) return false;
  types->js_function =
      reinterpret_cast<PyTypeObject*>(PyType_FromSpecWithBases(&js_function_spec, bases.get()));
  types->opaque = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&opaque_spec));
  types->scope = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&scope_spec));
  if (types->js_function == nullptr || types->opaque == nullptr || types->scope == nullptr)
    return false;
  return PyModule_AddType(module, types->js_ref) == 0 &&
         PyModule_AddType(module, types->js_function) == 0 &&
         PyModule_AddType(module, types->opaque) == 0 &&
         PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace coloop::interp
