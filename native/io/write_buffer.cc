#include "io/write_buffer.h"

#include <Python.h>
#include <sys/uio.h>

#include <cstddef>
#include <utility>
#include <vector>

#include "interp/ref.h"

namespace coloop::io {

using interp::Owned;

namespace {
// A few chunks stay allocated; what a slow reader has piled up is given back.
constexpr std::size_t kKeptChunks = 64;

std::size_t SizeOf(const Owned& bytes) {
  return static_cast<std::size_t>(PyBytes_GET_SIZE(bytes.get()));
}
}  // namespace

void WriteBuffer::Append(Owned bytes) {
  size_ += SizeOf(bytes);
  chunks_.push_back(std::move(bytes));
}

std::size_t WriteBuffer::Fill(iovec* vectors, std::size_t capacity) const {
  std::size_t count = 0;
  std::size_t skip = offset_;
  for (std::size_t i = first_; i < chunks_.size() && count < capacity; ++i, ++count) {
    vectors[count].iov_base = PyBytes_AS_STRING(chunks_[i].get()) + skip;
    vectors[count].iov_len = SizeOf(chunks_[i]) - skip;
    skip = 0;
  }
  return count;
}

Owned WriteBuffer::First() const { return Owned::NewRef(chunks_[first_].get()); }

void WriteBuffer::Consume(std::size_t count) {
  size_ -= count;
  count += offset_;
  while (first_ < chunks_.size() && count >= SizeOf(chunks_[first_])) {
    count -= SizeOf(chunks_[first_]);
    chunks_[first_++].reset();
  }
  offset_ = count;
  if (first_ == chunks_.size()) Clear();
  if (first_ >= kKeptChunks && first_ * 2 >= chunks_.size()) {
    chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

void WriteBuffer::Clear() {
  std::vector<Owned> dropped;
  if (chunks_.capacity() <= kKeptChunks) {
    chunks_.clear();
  } else {
    dropped.swap(chunks_);
  }
  first_ = 0;
  offset_ = 0;
  size_ = 0;
}

}  // namespace coloop::io
