// The functions of torch-sys that hand a tensor's memory to the host without an operator of LibTorch, counted. The tests
// are linked so that a call of `at_x` comes to `__wrap_at_x` here (see build.rs); elsewhere nothing of this is linked.

#include <cstddef>

extern "C" void ebm_note_read();

// Declares torch-sys's own function, and defines the one that notes the call and then makes it.
#define NOTED(result, name, parameters, arguments) \
  extern "C" result __real_##name parameters;      \
  extern "C" result __wrap_##name parameters {     \
    ebm_note_read();                               \
    return __real_##name arguments;                \
  }

NOTED(void, at_copy_data, (void* t, void* to, size_t count, size_t size), (t, to, count, size))
NOTED(void*, at_data_ptr, (void* t), (t))
NOTED(void, at_print, (void* t), (t))
NOTED(char*, at_to_string, (void* t, int width), (t, width))
NOTED(void, at_save, (void* t, char* file), (t, file))
NOTED(void, at_save_to_stream, (void* t, void* stream), (t, stream))
NOTED(void, at_save_multi, (void** ts, char** names, int count, char* file), (ts, names, count, file))
NOTED(void, at_save_multi_to_stream, (void** ts, char** names, int count, void* stream), (ts, names, count, stream))
NOTED(int, at_save_image, (void* t, char* file), (t, file))
