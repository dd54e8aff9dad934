// Reading the dynamic section from the file: the library is not loaded yet.
#include "loader/elf_needed.h"

#ifdef __linux__

#include <elf.h>
#include <link.h>

#include <cstring>
#include <fstream>
#include <iterator>

namespace coloop::loader {

namespace {

class ElfFile {
 public:
  explicit ElfFile(std::vector<char> bytes) : bytes_(std::move(bytes)) {}

  bool Parse() {
    ElfW(Ehdr) header;
    if (!Copy(0, &header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return false;
    for (int i = 0; i < header.e_phnum; ++i) {
      ElfW(Phdr) segment;
      if (!Copy(header.e_phoff + static_cast<std::size_t>(i) * sizeof(segment), &segment)) {
        return false;
      }
      segments_.push_back(segment);
    }
    return true;
  }

  std::vector<std::string> Needed() const {
    std::vector<std::size_t> offsets;
    std::size_t strings = 0;
    for (const ElfW(Phdr) & segment : segments_) {
      if (segment.p_type != PT_DYNAMIC) continue;
      ElfW(Dyn) entry;
      for (std::size_t at = segment.p_offset; Copy(at, &entry) && entry.d_tag != DT_NULL;
           at += sizeof(entry)) {
        if (entry.d_tag == DT_NEEDED) offsets.push_back(entry.d_un.d_val);
        if (entry.d_tag == DT_STRTAB) strings = FileOffset(entry.d_un.d_ptr);
      }
    }
    std::vector<std::string> names;
    for (const std::size_t offset : offsets) names.push_back(Text(strings + offset));
    return names;
  }

 private:
  template <typename T>
  bool Copy(std::size_t offset, T* target) const {
    if (offset > bytes_.size() || bytes_.size() - offset < sizeof(T)) return false;
    std::memcpy(target, bytes_.data() + offset, sizeof(T));
    return true;
  }

  std::size_t FileOffset(std::size_t address) const {
    for (const ElfW(Phdr) & segment : segments_) {
      if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
          address < segment.p_vaddr + segment.p_filesz) {
        return address - segment.p_vaddr + segment.p_offset;
      }
    }
    return bytes_.size();
  }

  std::string Text(std::size_t offset) const {
    std::string text;
    while (offset < bytes_.size() && bytes_[offset] != '\0') text.push_back(bytes_[offset++]);
    return text;
  }

  std::vector<char> bytes_;
  std::vector<ElfW(Phdr)> segments_;
};

}  // namespace

base::Result<std::vector<std::string>> ReadNeeded(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return base::Error{"ERR_COLOOP_DLOPEN", "cannot read " + path};
  std::vector<char> bytes{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  ElfFile file(std::move(bytes));
  if (!file.Parse()) {
    return base::Error{"ERR_COLOOP_DLOPEN", path + " is not a shared library of this machine"};
  }
  return file.Needed();
}

}  // namespace coloop::loader

#endif
