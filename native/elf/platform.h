// Whether libraries can be bound apart here: RTLD_DEEPBIND is glibc's. `__GLIBC__` is defined only
// once a header of libc's is included, so no file tests it by itself.
#pragma once

#ifdef __linux__
#include <features.h>
#endif

#ifdef __GLIBC__
#define COLOOP_HAS_DEEPBIND 1
#else
#define COLOOP_HAS_DEEPBIND 0
#endif

// Whether slots.h knows this processor's relocations.
#if COLOOP_HAS_DEEPBIND && (defined(__x86_64__) || defined(__aarch64__))
#define COLOOP_HAS_SLOTS 1
#else
#define COLOOP_HAS_SLOTS 0
#endif
