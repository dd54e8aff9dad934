// Interned names of what native code calls and reads.
#pragma once

struct _object;

namespace coloop::interp {
class Gil;
}

namespace coloop::io {

struct MethodNames {
  _object* connection_made;
  _object* connection_lost;
  _object* data_received;
  _object* datagram_received;
  _object* error_received;
  _object* eof_received;
  _object* get_buffer;
  _object* buffer_updated;
  _object* pause_writing;
  _object* resume_writing;
  _object* pause_reading;
  _object* resume_reading;
  _object* write;
  _object* pending;
  _object* close;
  _object* create_future;
  _object* done;
  _object* set_result;
  _object* set_exception;
  _object* fileno;
  _object* sendto;
  _object* fail_empty_waiter;
  _object* throw_method;
  _object* feed_data;
  _object* read;
  _object* cancelled;
  _object* is_closing;
  _object* exception;
  _object* drain_helper;
  // Attributes of a StreamReader
  _object* buffer;
  _object* eof;
  _object* waiter;
  _object* exception_field;
  _object* transport;
  _object* paused;
  _object* limit;
  _object* loop;
  // of its protocol
  _object* stream_reader_wr;
  _object* client_connected_cb;
  _object* connection_lost_field;
  // and of a StreamWriter
  _object* protocol;
  _object* reader;
  _object* minus_one;  // what get_buffer is called with
};

[[nodiscard]] bool InitNames(const interp::Gil& gil);
[[nodiscard]] const MethodNames& Names();

}  // namespace coloop::io
