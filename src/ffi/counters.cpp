// Counters for tests and benchmarks: bytes of tensors on the CPU, and how often the host reads a tensor's value. Nothing is
// counted, and nothing changes, before it is asked for.

#include <ATen/record_function.h>
#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <unordered_map>

namespace {

// The blocks that are alive. Never destroyed: tensors in static variables outlive it otherwise.
struct Ledger {
  std::mutex mutex;
  std::unordered_map<void*, size_t> sizes;
  size_t now = 0;
  size_t peak = 0;
};

Ledger& ledger() {
  static auto* all = new Ledger;
  return *all;
}

// The allocator that was there before.
c10::Allocator* inner = nullptr;

void enter(void* block, size_t bytes) {
  auto& all = ledger();
  std::lock_guard<std::mutex> lock(all.mutex);
  all.sizes.emplace(block, bytes);
  all.now += bytes;
  all.peak = std::max(all.peak, all.now);
}

// LibTorch's oneDNN glue frees by the allocator of the moment, so a block may come from before the counting: that one
// is freed, and counted for nothing.
void release(void* block) {
  {
    auto& all = ledger();
    std::lock_guard<std::mutex> lock(all.mutex);
    // Struck off before it is freed: another thread may get the same address at once.
    const auto at = all.sizes.find(block);
    if (at != all.sizes.end()) {
      all.now -= at->second;
      all.sizes.erase(at);
    }
  }
  inner->raw_deallocate(block);
}

struct CountingAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    auto data = inner->allocate(bytes);
    if (!data) return data;
    enter(data.get(), bytes);
    void* block = data.release_context();
    return {block, block, &release, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t bytes) const override { inner->copy_data(to, from, bytes); }
};

std::atomic<uint64_t> reads{0};

// What gives the host a value, or a shape that depends on values: each makes a GPU's host wait. `item` and `is_nonzero`
// end in `_local_scalar_dense`, a Boolean index and `argwhere` in `nonzero`.
constexpr const char* kReading[] = {
    "aten::_local_scalar_dense", "aten::equal",         "aten::nonzero",
    "aten::masked_select",       "aten::_unique",       "aten::_unique2",
    "aten::unique_dim",          "aten::unique_consecutive", "aten::unique_dim_consecutive",
    "aten::bincount",            "aten::repeat_interleave",
};

std::unique_ptr<at::ObserverContext> observe(const at::RecordFunction& call) {
  const char* name = call.name();
  const auto same = [name](const char* reading) { return std::strcmp(name, reading) == 0; };
  if (std::any_of(std::begin(kReading), std::end(kReading), same)) ++reads;
  return nullptr;
}

} // namespace

// Counts from now on; false where the present allocator frees blocks in a way that cannot be wrapped, or LibTorch throws.
extern "C" bool ebm_count_cpu_bytes() {
  try {
    static std::mutex once;
    std::lock_guard<std::mutex> lock(once);
    if (inner) return true;
    auto* present = c10::GetCPUAllocator();
    if (!present || !present->raw_deleter()) return false;
    inner = present;
    // Above every priority that another setting may have.
    c10::SetCPUAllocator(new CountingAllocator, /*priority=*/255);
    return true;
  } catch (...) {
    return false;
  }
}

// False where the lock cannot be had; nothing is written then.
extern "C" bool ebm_cpu_bytes(uint64_t* now, uint64_t* peak) {
  try {
    auto& all = ledger();
    std::lock_guard<std::mutex> lock(all.mutex);
    *now = all.now;
    *peak = all.peak;
    return true;
  } catch (...) {
    return false;
  }
}

extern "C" bool ebm_restart_cpu_peak() {
  try {
    auto& all = ledger();
    std::lock_guard<std::mutex> lock(all.mutex);
    all.peak = all.now;
    return true;
  } catch (...) {
    return false;
  }
}

// Counts the operators from now on.
extern "C" bool ebm_count_reads() {
  try {
    static const auto handle = at::addGlobalCallback(
        at::RecordFunctionCallback(&observe).scopes({at::RecordScope::FUNCTION}));
    return handle != at::INVALID_CALLBACK_HANDLE;
  } catch (...) {
    return false;
  }
}

extern "C" void ebm_note_read() {
  ++reads;
}

extern "C" uint64_t ebm_reads() {
  return reads;
}
