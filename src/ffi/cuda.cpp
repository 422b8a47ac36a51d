// CUDA graphs, side streams and memory counts of LibTorch's CUDA flavour.
//
// Every function returns null, or a text that says what went wrong and that ebm_cuda_free_text frees: no exception
// crosses into Rust. No function of the CUDA runtime is called by name, so that nothing but LibTorch itself is linked.

#include <ATen/core/CachingHostAllocator.h>
#include <ATen/cuda/CUDAGeneratorImpl.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/Event.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <optional>
#include <vector>

namespace {

using c10::cuda::CUDAStream;

// A text that Rust frees; null means success, so a text that there is no memory for ends the program.
char* told(const char* text) {
  char* copy = strdup(text);
  if (copy == nullptr) std::abort();
  return copy;
}

template <class Work>
char* caught(Work&& work) {
  try {
    work();
    return nullptr;
  } catch (const c10::Error& e) {
    return told(e.what_without_backtrace());
  } catch (const std::exception& e) {
    return told(e.what());
  } catch (...) {
    return told("an exception of unknown type");
  }
}

c10::Device cuda_device(int index) {
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
}

// What is queued on `first` so far runs before whatever is queued on `second` from now on.
void in_order(const CUDAStream& first, const CUDAStream& second) {
  c10::Event event(c10::kCUDA);
  event.record(first.unwrap());
  event.block(second.unwrap());
}

struct Side {
  CUDAStream own;
  std::optional<CUDAStream> before;
};

// Side streams that nobody uses at present. Libraries keep work space for every stream that they ever saw, so a stream is
// used again before another one is taken.
std::mutex idle_lock;
std::vector<CUDAStream> idle;

CUDAStream take_stream(c10::DeviceIndex device) {
  std::lock_guard<std::mutex> lock(idle_lock);
  for (auto it = idle.begin(); it != idle.end(); ++it) {
    if (it->device_index() != device) continue;
    const CUDAStream stream = *it;
    idle.erase(it);
    return stream;
  }
  return c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device);
}

// The members of at::cuda::CUDAGraph that are needed to mend what a capture that failed leaves behind.
struct Graph : at::cuda::CUDAGraph {
  // LibTorch ends allocation into the pool and the generator's capture only when the whole of capture_end succeeds;
  // until both are ended, every later draw throws and every later tensor of this stream may come from the pool.
  void abandon() {
    for (auto& entry : captured_generator_states_) entry.first->capturing_ = false;
    if (capture_ended_ || capture_dev_ == UNDEFINED_DEVICE) return;
    free(caught([&] { c10::cuda::CUDACachingAllocator::endAllocateToPool(capture_dev_, mempool_id_); }));
    free(caught([&] { at::getHostAllocator(at::kCUDA)->end_allocate_to_pool(mempool_id_); }));
    free(caught([&] { c10::cuda::CUDACachingAllocator::releasePool(capture_dev_, mempool_id_); }));
    free(caught([&] { at::getHostAllocator(at::kCUDA)->release_pool(mempool_id_); }));
  }
};

} // namespace

extern "C" {

void ebm_cuda_free_text(char* text) {
  free(text);
}

char* ebm_cuda_side_new(int device, void** out) {
  return caught([&] {
    *out = new Side{take_stream(static_cast<c10::DeviceIndex>(device)), {}};
  });
}

void ebm_cuda_side_free(void* side) {
  auto* s = static_cast<Side*>(side);
  free(caught([&] {
    std::lock_guard<std::mutex> lock(idle_lock);
    idle.push_back(s->own);
  }));
  free(caught([&] { delete s; }));
}

char* ebm_cuda_side_enter(void* side) {
  return caught([&] {
    auto* s = static_cast<Side*>(side);
    const auto before = c10::cuda::getCurrentCUDAStream(s->own.device_index());
    in_order(before, s->own);
    c10::cuda::setCurrentCUDAStream(s->own);
    s->before = before;
  });
}

// The stream from before is the current one again whatever happens.
char* ebm_cuda_side_leave(void* side) {
  return caught([&] {
    auto* s = static_cast<Side*>(side);
    if (!s->before) return;
    const auto before = *s->before;
    s->before.reset();
    c10::cuda::setCurrentCUDAStream(before);
    in_order(s->own, before);
  });
}

char* ebm_cuda_graph_new(int device, void** out) {
  return caught([&] {
    c10::DeviceGuard guard(cuda_device(device));
    *out = new Graph();
  });
}

void ebm_cuda_graph_free(void* graph) {
  free(caught([&] { delete static_cast<Graph*>(graph); }));
}

char* ebm_cuda_graph_begin(void* graph, int device) {
  auto* g = static_cast<Graph*>(graph);
  char* text = caught([&] {
    c10::DeviceGuard guard(cuda_device(device));
    // The graph allocates from a pool of its own: what the work has freed until now goes back to the device first.
    c10::cuda::device_synchronize();
    c10::cuda::CUDACachingAllocator::emptyCache();
    g->capture_begin();
  });
  if (text != nullptr) g->abandon();
  return text;
}

char* ebm_cuda_graph_end(void* graph, int device) {
  auto* g = static_cast<Graph*>(graph);
  char* text = caught([&] {
    c10::DeviceGuard guard(cuda_device(device));
    g->capture_end();
  });
  if (text != nullptr) g->abandon();
  return text;
}

char* ebm_cuda_graph_replay(void* graph) {
  return caught([&] { static_cast<Graph*>(graph)->replay(); });
}

char* ebm_cuda_synchronize(int device) {
  return caught([&] {
    c10::DeviceGuard guard(cuda_device(device));
    c10::cuda::device_synchronize();
  });
}

// 0 off, 1 warns, 2 throws wherever the host waits for the device.
char* ebm_cuda_set_sync_debug(int mode) {
  return caught([&] {
    c10::cuda::warning_state().set_sync_debug_mode(static_cast<c10::cuda::SyncDebugMode>(mode));
    if (mode != 2) return;
    // The flag is a static of an inline function; the library must see the same one as this file.
    bool seen = false;
    try {
      c10::cuda::warn_or_error_on_sync();
    } catch (const c10::Error&) {
      seen = true;
    }
    TORCH_CHECK(seen, "LibTorch doesn't see the mode that was set: this program has another copy of the flag");
  });
}

// Bytes of live tensors, now and at most since the last reset.
char* ebm_cuda_memory(int device, long long* current, long long* peak) {
  return caught([&] {
    const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(static_cast<c10::DeviceIndex>(device));
    const auto& bytes = stats.allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)];
    *current = bytes.current;
    *peak = bytes.peak;
  });
}

char* ebm_cuda_reset_peak(int device) {
  return caught([&] { c10::cuda::CUDACachingAllocator::resetPeakStats(static_cast<c10::DeviceIndex>(device)); });
}

} // extern "C"
