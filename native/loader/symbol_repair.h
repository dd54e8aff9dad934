// Data of libc and libstdc++ that the executable has copied to itself.
#pragma once

namespace coloop::loader {

// Node's executable is not position-independent, so the dynamic linker moved `environ`, `std::cout`
// and other data of shared libraries into it (copy relocations). A library that is bound with
// RTLD_DEEPBIND finds the originals, which nobody has initialised: gives them the live values.
void RepairCopiedSymbols();

}  // namespace coloop::loader
