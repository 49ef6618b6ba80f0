#!/usr/bin/env python3
"""Writes transactions, for tests: each ends in a marker that no reader ever sees.

``transact.py BOOTSTRAP TOPIC PARTITION commit:3 abort:2 ...`` writes three records and commits them,
then two that it aborts, and so on. A value is its place among all records written. A producer either
commits or aborts, never both.

With ``keys:13`` before the first step, PARTITION is how many partitions to write to, and record n has the
key ``key K``, where K is n modulo 13, and goes to partition K, modulo their number.
"""

from __future__ import annotations

import sys

from kafka import KafkaProducer


def main() -> None:
    bootstrap, topic, partition, *steps = sys.argv[1:]
    producers: dict[str, KafkaProducer] = {}
    count = 0
    keys = int(steps.pop(0).removeprefix("keys:")) if steps[0].startswith("keys:") else 0
    for step in steps:
        outcome, _, records = step.partition(":")
        producer = producers.get(outcome)
        if producer is None:
            producer = KafkaProducer(
                bootstrap_servers=bootstrap, transactional_id=f"{topic}-{outcome}"
            )
            producer.init_transactions()
            producers[outcome] = producer
        producer.begin_transaction()
        for _ in range(int(records)):
            place, key = int(partition), None
            if keys:
                place, key = count % keys % int(partition), f"key {count % keys}".encode()
            producer.send(topic, partition=place, key=key, value=str(count).encode())
            count += 1
        producer.flush()
        if outcome == "commit":
            producer.commit_transaction()
        else:
            producer.abort_transaction()
    for producer in producers.values():
        producer.close()


if __name__ == "__main__":
    main()
