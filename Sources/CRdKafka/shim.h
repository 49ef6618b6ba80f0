// What Swift cannot import directly: variadic functions of librdkafka, eventfd(2),
// malloc_trim(3).
#pragma once
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <malloc.h>
#include <sys/eventfd.h>

/// A new eventfd that does not block; -1 where the process has too many files open.
static inline int ferry_eventfd(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }

/// Queues `m`, a consumed message, for `partition` of `rkt` without copying key or value: `m` becomes
/// the delivery's opaque and must live until its report. On success `*headers` belongs to librdkafka
/// and is cleared; on failure the caller still owns it and may try again.
static inline rd_kafka_resp_err_t ferry_forward(
    rd_kafka_t *rk, rd_kafka_topic_t *rkt, int32_t partition, rd_kafka_message_t *m,
    rd_kafka_headers_t **headers) {
  rd_kafka_timestamp_type_t type;
  int64_t timestamp = rd_kafka_message_timestamp(m, &type);
  rd_kafka_resp_err_t error;
  if (*headers)
    error = rd_kafka_producev(
        rk, RD_KAFKA_V_RKT(rkt), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_MSGFLAGS(0),
        RD_KAFKA_V_KEY(m->key, m->key_len), RD_KAFKA_V_VALUE(m->payload, m->len),
        RD_KAFKA_V_TIMESTAMP(timestamp), RD_KAFKA_V_HEADERS(*headers), RD_KAFKA_V_OPAQUE(m),
        RD_KAFKA_V_END);
  else
    error = rd_kafka_producev(
        rk, RD_KAFKA_V_RKT(rkt), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_MSGFLAGS(0),
        RD_KAFKA_V_KEY(m->key, m->key_len), RD_KAFKA_V_VALUE(m->payload, m->len),
        RD_KAFKA_V_TIMESTAMP(timestamp), RD_KAFKA_V_OPAQUE(m), RD_KAFKA_V_END);
  if (!error) *headers = NULL;
  return error;
}

/// Queues a record of the caller's own, copying all of it. `opaque` comes back with its report.
static inline rd_kafka_resp_err_t ferry_produce(
    rd_kafka_t *rk, rd_kafka_topic_t *rkt, int32_t partition, const void *key, size_t key_len,
    const void *value, size_t value_len, int64_t timestamp, rd_kafka_headers_t *headers,
    void *opaque) {
  if (headers)
    return rd_kafka_producev(
        rk, RD_KAFKA_V_RKT(rkt), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, key_len),
        RD_KAFKA_V_VALUE((void *)value, value_len), RD_KAFKA_V_TIMESTAMP(timestamp),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
  return rd_kafka_producev(
      rk, RD_KAFKA_V_RKT(rkt), RD_KAFKA_V_PARTITION(partition),
      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, key_len),
      RD_KAFKA_V_VALUE((void *)value, value_len), RD_KAFKA_V_TIMESTAMP(timestamp),
      RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
}
