// What Swift cannot import from librdkafka and POSIX directly.
#pragma once
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
