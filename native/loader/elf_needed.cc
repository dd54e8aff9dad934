// Reading the dynamic section from the file: the library is not loaded yet.
#include "loader/elf_needed.h"

#include "elf/platform.h"

#if COLOOP_HAS_DEEPBIND

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace coloop::loader {

namespace {

// The file's bytes, as far as pages of it are touched: libpython has tens of megabytes.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    struct stat status{};
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0) {
      const auto size = static_cast<std::size_t>(status.st_size);
      void* data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
      if (data != MAP_FAILED) bytes_ = std::string_view(static_cast<const char*>(data), size);
    }
    close(fd);
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile(MappedFile&&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  MappedFile& operator=(MappedFile&&) = delete;
  ~MappedFile() {
    if (!bytes_.empty()) munmap(const_cast<char*>(bytes_.data()), bytes_.size());
  }

  [[nodiscard]] std::string_view Bytes() const { return bytes_; }

 private:
  std::string_view bytes_;
};

constexpr unsigned char kClass = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;
constexpr unsigned char kByteOrder =
    std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;

// Every offset comes from the file, so every access is checked.
class ElfFile {
 public:
  explicit ElfFile(std::string_view bytes) : bytes_(bytes) {}

  // False if it is no shared library of this process's word size and byte order. The machine is
  // left to the dynamic linker, which says it best.
  bool Parse() {
    const auto header = Read<ElfW(Ehdr)>(0);
    if (!header.has_value() || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        header->e_ident[EI_CLASS] != kClass || header->e_ident[EI_DATA] != kByteOrder ||
        header->e_type != ET_DYN) {
      return false;
    }
    for (std::size_t i = 0; i < header->e_phnum; ++i) {
      const auto segment = Read<ElfW(Phdr)>(header->e_phoff + i * sizeof(ElfW(Phdr)));
      if (!segment.has_value()) return false;
      segments_.push_back(*segment);
    }
    for (const ElfW(Phdr) & segment : segments_) {
      // The dynamic linker would map what is not there, and die of SIGBUS.
      if (segment.p_type == PT_LOAD && !Has(segment.p_offset, segment.p_filesz)) return false;
      if (segment.p_type == PT_DYNAMIC) ReadDynamic(segment.p_offset);
    }
    return true;
  }

  [[nodiscard]] std::vector<std::string> Texts(ElfW(Sxword) tag) const {
    std::vector<std::string> texts;
    const std::size_t strings = FileOffset(Value(DT_STRTAB));
    for (const ElfW(Dyn) & entry : dynamic_) {
      if (entry.d_tag == tag) texts.push_back(Text(strings + entry.d_un.d_val));
    }
    return texts;
  }

 private:
  [[nodiscard]] bool Has(std::size_t offset, std::size_t size) const {
    return offset <= bytes_.size() && bytes_.size() - offset >= size;
  }

  template <typename T>
  [[nodiscard]] std::optional<T> Read(std::size_t offset) const {
    if (!Has(offset, sizeof(T))) return std::nullopt;
    T value;
    std::memcpy(&value, bytes_.data() + offset, sizeof(T));
    return value;
  }

  void ReadDynamic(std::size_t offset) {
    for (;; offset += sizeof(ElfW(Dyn))) {
      const auto entry = Read<ElfW(Dyn)>(offset);
      if (!entry.has_value() || entry->d_tag == DT_NULL) return;
      dynamic_.push_back(*entry);
    }
  }

  [[nodiscard]] std::size_t Value(ElfW(Sxword) tag) const {
    for (const ElfW(Dyn) & entry : dynamic_) {
      if (entry.d_tag == tag) return entry.d_un.d_val;
    }
    return 0;
  }

  [[nodiscard]] std::size_t FileOffset(std::size_t address) const {
    for (const ElfW(Phdr) & segment : segments_) {
      if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
          address - segment.p_vaddr < segment.p_filesz) {
        return address - segment.p_vaddr + segment.p_offset;
      }
    }
    return bytes_.size();
  }

  [[nodiscard]] std::string Text(std::size_t offset) const {
    if (offset >= bytes_.size()) return {};
    const std::string_view rest = bytes_.substr(offset);
    return std::string(rest.substr(0, rest.find('\0')));
  }

  std::string_view bytes_;
  std::vector<ElfW(Phdr)> segments_;
  std::vector<ElfW(Dyn)> dynamic_;
};

std::string ExpandOrigin(std::string folder, const std::string& origin) {
  for (const std::string_view name : {"${ORIGIN}", "$ORIGIN"}) {
    for (std::size_t at = 0; (at = folder.find(name, at)) != std::string::npos;
         at += origin.size()) {
      folder.replace(at, name.size(), origin);
    }
  }
  return folder;
}

std::vector<std::string> SplitFolders(const std::string& list, const std::string& library) {
  const std::string origin = library.substr(0, library.rfind('/'));
  std::vector<std::string> folders;
  for (std::size_t start = 0; start <= list.size();) {
    const std::size_t end = std::min(list.find(':', start), list.size());
    if (end > start) folders.push_back(ExpandOrigin(list.substr(start, end - start), origin));
    start = end + 1;
  }
  return folders;
}

}  // namespace

base::Result<Needed> ReadNeeded(const std::string& path) {
  const MappedFile mapped(path);
  ElfFile file(mapped.Bytes());
  if (!file.Parse()) {
    return base::Error{"ERR_COLOOP_DLOPEN",
                       path + " cannot be read or is no whole shared library of this machine"};
  }
  std::vector<std::string> lists = file.Texts(DT_RUNPATH);
  if (lists.empty()) lists = file.Texts(DT_RPATH);
  Needed needed{file.Texts(DT_NEEDED), {}};
  if (!lists.empty()) needed.folders = SplitFolders(lists.front(), path);
  return needed;
}

}  // namespace coloop::loader

#endif
