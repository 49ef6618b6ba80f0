// XXH3 is compiled inline, so that no library has to be linked; inlining renames the functions, hence
// the one wrapper.
#pragma once
#define XXH_INLINE_ALL
#include <xxhash.h>

typedef struct {
  uint64_t low, high;
} ferry_digest_t;

/// XXH3-128 with seed 0.
static inline ferry_digest_t ferry_xxh3_128(const void *bytes, size_t count) {
  XXH128_hash_t hash = XXH3_128bits(bytes, count);
  return (ferry_digest_t){hash.low64, hash.high64};
}
