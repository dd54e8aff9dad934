// Where a path leads: absolute, without links and dots. POSIX only; allocates nothing.
#pragma once

#include <climits>

namespace coloop::sandbox {

// A link at the end of the path: does the operation act on the link or on what it points to?
enum class Ending { kTarget, kLink };

using PathBuffer = char[PATH_MAX];

// What `path` names now, also if its end does not exist yet. A relative path starts at the folder
// that is open as `folder`, or at the process's own if that is negative. False if it leads nowhere.
[[nodiscard]] bool ResolvePath(const char* path, int folder, Ending ending, PathBuffer& resolved);

// True if the resolved path is `entry` or below it.
[[nodiscard]] bool IsWithin(const char* resolved, const char* entry);

}  // namespace coloop::sandbox
