// The floor of `npm run bench:loop`: an echo server in C on libuv. `floor tcp|unix|udp [PATH]` prints
// {"address": …} and serves until it is killed. One buffer serves all reads, since what was read is sent on
// before the next read; only what the socket did not take at once is copied.

#define _GNU_SOURCE
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { kScratch = 256 * 1024, kBacklog = 1024 };

static char scratch[kScratch];

typedef struct {
  uv_write_t base;
  char data[];
} Write;

static void Check(int status, const char* what) {
  if (status >= 0) return;
  (void)fprintf(stderr, "floor: %s: %s\n", what, uv_strerror(status));
  exit(1);
}

static void OnAllocate(uv_handle_t* handle, size_t suggested, uv_buf_t* buffer) {
  (void)handle;
  (void)suggested;
  *buffer = uv_buf_init(scratch, kScratch);
}

static void OnClosed(uv_handle_t* handle) { free(handle); }

static void OnWritten(uv_write_t* write, int status) {
  (void)status;
  free(write);
}

static void OnRead(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
  if (count == 0) return;
  if (count < 0) {
    uv_close((uv_handle_t*)stream, OnClosed);
    return;
  }
  uv_buf_t rest = uv_buf_init(buffer->base, (unsigned)count);
  int sent = uv_try_write(stream, &rest, 1);
  if (sent == UV_EAGAIN) sent = 0;
  if (sent < 0 || sent == count) return;
  const size_t left = (size_t)(count - sent);
  Write* write = malloc(sizeof *write + left);
  if (write == NULL) abort();
  memcpy(write->data, rest.base + sent, left);
  rest = uv_buf_init(write->data, (unsigned)left);
  if (uv_write(&write->base, stream, &rest, 1, OnWritten) != 0) free(write);
}

static void OnConnection(uv_stream_t* server, int status) {
  Check(status, "connection");
  union uv_any_handle* handle = malloc(sizeof *handle);
  if (handle == NULL) abort();
  if (server->type == UV_TCP) {
    Check(uv_tcp_init(server->loop, &handle->tcp), "tcp");
  } else {
    Check(uv_pipe_init(server->loop, &handle->pipe, 0), "pipe");
  }
  Check(uv_accept(server, &handle->stream), "accept");
  if (server->type == UV_TCP) Check(uv_tcp_nodelay(&handle->tcp, 1), "nodelay");
  Check(uv_read_start(&handle->stream, OnAllocate, OnRead), "read");
}

static void OnDatagram(uv_udp_t* socket, ssize_t count, const uv_buf_t* buffer,
                       const struct sockaddr* from, unsigned flags) {
  (void)flags;
  if (from == NULL) return;
  Check((int)count, "datagram");
  const uv_buf_t answer = uv_buf_init(buffer->base, (unsigned)count);
  Check(uv_udp_try_send(socket, &answer, 1, from), "send");
}

int main(int count, char** arguments) {
  uv_loop_t* loop = uv_default_loop();
  const char* kind = count > 1 ? arguments[1] : "";
  if (strcmp(kind, "version") == 0) return puts(uv_version_string()) < 0;
  struct sockaddr_in address;
  int length = sizeof address;
  Check(uv_ip4_addr("127.0.0.1", 0, &address), "address");
  union uv_any_handle server;
  if (strcmp(kind, "tcp") == 0) {
    Check(uv_tcp_init(loop, &server.tcp), "tcp");
    Check(uv_tcp_bind(&server.tcp, (struct sockaddr*)&address, 0), "bind");
    Check(uv_listen(&server.stream, kBacklog, OnConnection), "listen");
    Check(uv_tcp_getsockname(&server.tcp, (struct sockaddr*)&address, &length), "name");
  } else if (strcmp(kind, "unix") == 0 && count > 2) {
    Check(uv_pipe_init(loop, &server.pipe, 0), "pipe");
    Check(uv_pipe_bind(&server.pipe, arguments[2]), "bind");
    Check(uv_listen(&server.stream, kBacklog, OnConnection), "listen");
  } else if (strcmp(kind, "udp") == 0) {
    Check(uv_udp_init(loop, &server.udp), "udp");
    Check(uv_udp_bind(&server.udp, (struct sockaddr*)&address, 0), "bind");
    Check(uv_udp_recv_start(&server.udp, OnAllocate, OnDatagram), "receive");
    Check(uv_udp_getsockname(&server.udp, (struct sockaddr*)&address, &length), "name");
  } else {
    (void)fputs("floor: tcp | unix PATH | udp | version\n", stderr);
    return 2;
  }
  if (server.handle.type == UV_NAMED_PIPE) {
    printf("{\"address\":\"%s\"}\n", arguments[2]);
  } else {
    printf("{\"address\":\"%d\"}\n", ntohs(address.sin_port));
  }
  (void)fflush(stdout);
  return uv_run(loop, UV_RUN_DEFAULT);
}
