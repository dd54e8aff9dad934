#include "io/module_part.h"

#include <Python.h>

#include "interp/gil.h"
#include "interp/per_interpreter.h"
#include "io/acceptor.h"
#include "io/datagram_type.h"
#include "io/names.h"
#include "io/pipe_type.h"
#include "io/resolver.h"
#include "io/socket_functions.h"
#include "io/span.h"
#include "io/stream_protocol.h"
#include "io/stream_type.h"
#include "io/tls_type.h"

namespace coloop::io {

namespace {
interp::PerInterpreter<MethodNames> method_names;
}  // namespace

bool InitNames(const interp::Gil&) {
  MethodNames& names = *method_names;
  const struct {
    PyObject** name;
    const char* text;
  } all[] = {
      {&names.connection_made, "connection_made"},
      {&names.connection_lost, "connection_lost"},
      {&names.data_received, "data_received"},
      {&names.datagram_received, "datagram_received"},
      {&names.error_received, "error_received"},
      {&names.eof_received, "eof_received"},
      {&names.get_buffer, "get_buffer"},
      {&names.buffer_updated, "buffer_updated"},
      {&names.pause_writing, "pause_writing"},
      {&names.resume_writing, "resume_writing"},
      {&names.pause_reading, "pause_reading"},
      {&names.resume_reading, "resume_reading"},
      {&names.write, "write"},
      {&names.pending, "pending"},
      {&names.close, "close"},
      {&names.create_future, "create_future"},
      {&names.done, "done"},
      {&names.set_result, "set_result"},
      {&names.set_exception, "set_exception"},
      {&names.fileno, "fileno"},
      {&names.sendto, "sendto"},
      {&names.fail_empty_waiter, "_fail_empty_waiter"},
      {&names.throw_method, "throw"},
      {&names.feed_data, "feed_data"},
      {&names.read, "read"},
      {&names.cancelled, "cancelled"},
      {&names.is_closing, "is_closing"},
      {&names.exception, "exception"},
      {&names.drain_helper, "_drain_helper"},
      {&names.buffer, "_buffer"},
      {&names.eof, "_eof"},
      {&names.waiter, "_waiter"},
      {&names.exception_field, "_exception"},
      {&names.transport, "_transport"},
      {&names.paused, "_paused"},
      {&names.limit, "_limit"},
      {&names.loop, "_loop"},
      {&names.stream_reader_wr, "_stream_reader_wr"},
      {&names.client_connected_cb, "_client_connected_cb"},
      {&names.connection_lost_field, "_connection_lost"},
      {&names.protocol, "_protocol"},
      {&names.reader, "_reader"},
  };
  for (const auto& each : all) {
    *each.name = PyUnicode_InternFromString(each.text);
    if (*each.name == nullptr) return false;
  }
  names.minus_one = PyLong_FromLong(-1);
  return names.minus_one != nullptr;
}

const MethodNames& Names() { return *method_names; }

bool AddToModule(const interp::Gil& gil, PyObject* module) {
  return InitNames(gil) && InitSpan(gil) && InitStreams(gil) && AddStreamType(gil, module) &&
         AddTlsType(gil, module) && AddPipeTypes(gil, module) && AddAcceptorType(gil, module) &&
         AddDatagramType(gil, module) && AddSocketFunctions(gil, module) &&
         AddResolver(gil, module);
}

}  // namespace coloop::io
