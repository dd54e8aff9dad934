// What was refused or watched, for a listener in JavaScript.
//
// The thread in which it happened describes it, running no Python code, and puts it into a list;
// the listener is woken and takes the list when its own thread comes to it. Nobody waits for
// anybody.
#pragma once

#include <string>
#include <vector>

#include "sandbox/events.h"

struct _object;

namespace coloop::sandbox {

enum class Reported { kRefused, kWatched };

struct Frame {
  std::string file;
  std::string line;
  std::string function;
};

struct Report {
  EventId event = kUnknownEvent;
  Reported verdict = Reported::kRefused;
  std::vector<std::string> arguments;
  std::vector<Frame> stack;  // the innermost frame first
  unsigned long thread = 0;  // Python's ident
  int lost = 0;              // reports before this one that the full list had no place for
};

// `wake` is called in any thread, after a report was put into the list that was empty; null ends
// reports. It must not wait.
void SetReportListener(void (*wake)());

[[nodiscard]] std::vector<Report> TakeReports();

// The GIL is held; an exception that is set stays so. `arguments` is a tuple or null.
void ReportEvent(EventId event, Reported verdict, _object* arguments);

}  // namespace coloop::sandbox
