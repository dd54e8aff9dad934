// The load of `npm run bench:loop`: echo requests, one outstanding on each connection, by one thread and one
// epoll, so that its cost is the same whoever answers.
//
//   client tcp|unix|udp|connect|tls PORT|PATH SIZE CONNECTIONS WARM_MS MEASURE_MS PID
//
// Every answer's length and its first and last byte are checked. Prints one line of JSON: the requests, the
// seconds and the processor seconds of process PID in the measured time.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#endif

enum Mode { kTcp, kUnix, kUdp, kConnect, kTls, kModes };
static const char* const kNames[kModes] = {"tcp", "unix", "udp", "connect", "tls"};

enum { kStalledMs = 5000, kSources = 200, kEvents = 256 };

struct Connection {
  int fd;
  size_t sent;
  size_t received;
  bool wants_out;
#ifdef WITH_TLS
  SSL* tls;
#endif
};

static enum Mode mode;
static size_t size;
static char* request;
static char* answer;
static int poller;
static struct sockaddr_storage server;
static socklen_t server_length;
static unsigned long requests;
static unsigned source;
#ifdef WITH_TLS
static SSL_CTX* tls_context;
#endif

__attribute__((noreturn, format(printf, 1, 2))) static void Fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  (void)fputs("client: ", stderr);
  (void)vfprintf(stderr, format, arguments);
  (void)fputc('\n', stderr);
  va_end(arguments);
  exit(1);
}

static double Seconds(clockid_t clock) {
  struct timespec now;
  if (clock_gettime(clock, &now) != 0) Fail("clock_gettime: %s", strerror(errno));
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void Watch(struct Connection* connection, bool out, int operation) {
  struct epoll_event event = {.events = EPOLLIN | (out ? EPOLLOUT : 0), .data.ptr = connection};
  if (epoll_ctl(poller, operation, connection->fd, &event) != 0) Fail("epoll_ctl: %s", strerror(errno));
  connection->wants_out = out;
}

// Bytes moved, or 0 when it would block.
static size_t Moved(struct Connection* connection, ssize_t count, const char* what) {
  (void)connection;
#ifdef WITH_TLS
  if (connection->tls != NULL) {
    if (count > 0) return (size_t)count;
    const int error = SSL_get_error(connection->tls, (int)count);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return 0;
    Fail("%s: TLS error %d, %s", what, error, ERR_reason_error_string(ERR_peek_last_error()));
  }
#endif
  if (count > 0) return (size_t)count;
  if (count == 0) Fail("%s: the server closed the connection", what);
  if (errno == EAGAIN || errno == ENOTCONN) return 0;
  Fail("%s: %s", what, strerror(errno));
}

static ssize_t Write(struct Connection* connection, const char* data, size_t length) {
#ifdef WITH_TLS
  if (connection->tls != NULL) {
    ERR_clear_error();
    return SSL_write(connection->tls, data, (int)length);
  }
#endif
  return send(connection->fd, data, length, MSG_NOSIGNAL);
}

static ssize_t Read(struct Connection* connection, char* data, size_t length) {
#ifdef WITH_TLS
  if (connection->tls != NULL) {
    ERR_clear_error();
    return SSL_read(connection->tls, data, (int)length);
  }
#endif
  return recv(connection->fd, data, length, 0);
}

// Sends what is left of the request; watches for room while there is more.
static void Send(struct Connection* connection) {
  while (connection->sent < size) {
    const size_t count = Moved(
        connection, Write(connection, request + connection->sent, size - connection->sent), "send");
    if (count == 0) break;
    connection->sent += count;
  }
  const bool out = connection->sent < size;
  if (out != connection->wants_out) Watch(connection, out, EPOLL_CTL_MOD);
}

static void Open(struct Connection* connection) {
  *connection = (struct Connection){0};
  const int type = (mode == kUdp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC;
  // Only what is opened while others are served may not block.
  connection->fd = socket(server.ss_family, type | (mode == kConnect ? SOCK_NONBLOCK : 0), 0);
  if (connection->fd < 0) Fail("socket: %s", strerror(errno));
  const int on = 1;
  if (server.ss_family == AF_INET && mode != kUdp) {
    (void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  if (mode == kConnect) {
    // Many sources, or the ports in TIME_WAIT run out.
    struct sockaddr_in local = {.sin_family = AF_INET};
    local.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + source++ % kSources);
    (void)setsockopt(connection->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(connection->fd, (struct sockaddr*)&local, sizeof local) != 0) Fail("bind: %s", strerror(errno));
  }
  if (connect(connection->fd, (struct sockaddr*)&server, server_length) != 0 && errno != EINPROGRESS) {
    Fail("connect: %s", strerror(errno));
  }
#ifdef WITH_TLS
  if (mode == kTls) {
    connection->tls = SSL_new(tls_context);
    if (connection->tls == NULL || SSL_set_fd(connection->tls, connection->fd) != 1 ||
        SSL_connect(connection->tls) != 1) {
      Fail("TLS handshake: %s", ERR_reason_error_string(ERR_peek_last_error()));
    }
  }
#endif
  if (fcntl(connection->fd, F_SETFL, O_NONBLOCK) != 0) Fail("fcntl: %s", strerror(errno));
  Watch(connection, mode == kConnect, EPOLL_CTL_ADD);
  if (mode != kConnect) Send(connection);
}

static void Answered(struct Connection* connection) {
  if (answer[0] != request[0] || answer[size - 1] != request[size - 1]) Fail("a wrong answer");
  requests += 1;
  if (mode == kConnect) {
    (void)close(connection->fd);
    Open(connection);
    return;
  }
  connection->sent = 0;
  connection->received = 0;
  Send(connection);
}

static void Receive(struct Connection* connection) {
  for (;;) {
    const size_t wanted = size - connection->received;
    const size_t count =
        Moved(connection, Read(connection, answer + connection->received, wanted), "recv");
    if (count == 0) return;
    if (mode == kUdp && count != size) Fail("a datagram of %zu bytes", count);
    connection->received += count;
    if (connection->received == size) {
      Answered(connection);
      return;
    }
    // A plain socket has no more after a short read; TLS may hold another record.
    if (mode != kTls) return;
  }
}

static void Serve(const struct epoll_event* event) {
  struct Connection* connection = event->data.ptr;
  if (mode == kConnect && (event->events & (EPOLLERR | EPOLLHUP)) != 0) {
    int error = 0;
    socklen_t length = sizeof error;
    (void)getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    Fail("connection: %s", strerror(error));
  }
  if (connection->wants_out && (event->events & EPOLLOUT) != 0) Send(connection);
  if ((event->events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) Receive(connection);
}

static void RunUntil(double end) {
  struct epoll_event events[kEvents];
  while (Seconds(CLOCK_MONOTONIC) < end) {
    const int count = epoll_wait(poller, events, kEvents, kStalledMs);
    if (count < 0 && errno != EINTR) Fail("epoll_wait: %s", strerror(errno));
    if (count == 0) Fail("no answer for %d ms", kStalledMs);
    for (int i = 0; i < count; i++) Serve(&events[i]);
  }
}

static void SetAddress(const char* address) {
  if (mode == kUnix) {
    struct sockaddr_un* unix_address = (struct sockaddr_un*)&server;
    unix_address->sun_family = AF_UNIX;
    if (strlen(address) >= sizeof unix_address->sun_path) Fail("%s is too long", address);
    memcpy(unix_address->sun_path, address, strlen(address) + 1);
    server_length = sizeof *unix_address;
    return;
  }
  struct sockaddr_in* internet = (struct sockaddr_in*)&server;
  internet->sin_family = AF_INET;
  internet->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  internet->sin_port = htons((uint16_t)strtoul(address, NULL, 10));
  server_length = sizeof *internet;
}

static enum Mode ModeOf(const char* name) {
  int found = 0;
  while (found < kModes && strcmp(name, kNames[found]) != 0) found++;
#ifdef WITH_TLS
  tls_context = SSL_CTX_new(TLS_client_method());
  if (tls_context == NULL) Fail("no TLS context");
  (void)SSL_CTX_set_mode(tls_context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                          SSL_MODE_AUTO_RETRY);
#else
  if (found == kTls) Fail("built without OpenSSL");
#endif
  if (found == kModes) Fail("no mode %s", name);
  return (enum Mode)found;
}

int main(int count, char** arguments) {
  if (count != 8) Fail("tcp|unix|udp|connect|tls PORT|PATH SIZE CONNECTIONS WARM_MS MEASURE_MS PID");
  mode = ModeOf(arguments[1]);
  SetAddress(arguments[2]);
  size = strtoul(arguments[3], NULL, 10);
  const size_t wanted = strtoul(arguments[4], NULL, 10);
  const double warm = strtod(arguments[5], NULL) / 1e3;
  const double measured = strtod(arguments[6], NULL) / 1e3;
  clockid_t processor;
  if (clock_getcpuclockid((pid_t)strtol(arguments[7], NULL, 10), &processor) != 0) Fail("no process %s", arguments[7]);

  request = malloc(size);
  answer = malloc(size);
  struct Connection* connections = calloc(wanted, sizeof *connections);
  poller = epoll_create1(EPOLL_CLOEXEC);
  if (size == 0 || wanted == 0 || request == NULL || answer == NULL || connections == NULL || poller < 0) {
    Fail("a size and a number of connections");
  }
  for (size_t i = 0; i < size; i++) request[i] = (char)('a' + i % 23);
  for (size_t i = 0; i < wanted; i++) Open(&connections[i]);

  RunUntil(Seconds(CLOCK_MONOTONIC) + warm);
  requests = 0;
  const double start = Seconds(CLOCK_MONOTONIC);
  const double cpu = Seconds(processor);
  RunUntil(start + measured);
  const double used = Seconds(processor) - cpu;
  printf("{\"requests\":%lu,\"seconds\":%.6f,\"cpu\":%.6f}\n", requests,
         Seconds(CLOCK_MONOTONIC) - start, used);
  return 0;
}
