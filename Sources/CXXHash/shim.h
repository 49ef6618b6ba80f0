// XXH3 is compiled inline: the streaming state then lives on the caller's side and needs no library.
#pragma once
#define XXH_INLINE_ALL
#include <xxhash.h>
