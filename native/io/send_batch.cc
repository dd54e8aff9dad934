#include "io/send_batch.h"

#include <Python.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/ticks.h"
#include "interp/ref.h"
#include "io/address.h"

namespace coloop::io {

namespace {
constexpr std::uint64_t kOldTicks = 100'000;  // 20 to 100 us
}  // namespace

bool SendBatch::IsOld() const {
  const std::uint64_t now = base::Ticks();
  return now == 0 || now - began_ > kOldTicks;
}

void SendBatch::Add(PyObject* data, PyObject* to, const Address& target) {
  if (size_ == 0) began_ = base::Ticks();
  Entry& entry = entries_[size_++];
  entry.data = interp::Owned::NewRef(data);
  entry.to = interp::Owned::NewRef(to);
  entry.target = target;
}

std::size_t SendBatch::Send(int fd, Entries* left) {
  std::array<mmsghdr, kSize> messages;
  std::array<iovec, kSize> vectors;
  for (std::size_t i = 0; i < size_; ++i) {
    Entry& entry = entries_[i];
    vectors[i] = iovec{PyBytes_AS_STRING(entry.data.get()),
                       static_cast<std::size_t>(PyBytes_GET_SIZE(entry.data.get()))};
    messages[i] = mmsghdr{};
    messages[i].msg_hdr.msg_name = &entry.target.storage;
    messages[i].msg_hdr.msg_namelen = entry.target.length;
    messages[i].msg_hdr.msg_iov = &vectors[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  int result = -1;
  do {
    result =
        sendmmsg(fd, messages.data(), static_cast<unsigned>(size_), MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (result < 0 && errno == EINTR);
  const std::size_t count = std::exchange(size_, 0);
  const auto sent = static_cast<std::size_t>(std::max(result, 0));
  for (std::size_t i = 0; i < sent; ++i) {
    entries_[i].data.reset();
    entries_[i].to.reset();
  }
  std::move(entries_.begin() + static_cast<std::ptrdiff_t>(sent),
            entries_.begin() + static_cast<std::ptrdiff_t>(count), left->begin());
  return count - sent;
}

}  // namespace coloop::io
