// How thread-local variables of hot paths are found: at a fixed place, without a call. Before the
// whole declaration of a variable without a constructor.
#pragma once

#ifdef __GLIBC__  // elsewhere a library that is loaded late may have no such variables
#define COLOOP_THREAD_MODEL [[gnu::tls_model("initial-exec")]]
#else
#define COLOOP_THREAD_MODEL
#endif
