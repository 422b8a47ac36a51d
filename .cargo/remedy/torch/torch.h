// The compiler looks here last (see ../../config.toml), so it comes here only where LibTorch is missing.
#error no LibTorch where LIBTORCH points (./libtorch unless set). Remedy: run ./download_libtorch.sh, or set LIBTORCH to the absolute path of a LibTorch 2.11.0, the folder that holds include/ and lib/
#include "LibTorch: run ./download_libtorch.sh"
