#!/usr/bin/env python3
"""Writes transactions to one partition, for tests: each ends in a marker that no reader ever sees.

``transact.py BOOTSTRAP TOPIC PARTITION commit:3 abort:2 ...`` writes three records and commits them,
then two that it aborts, and so on. A value is its place among all records written. A producer either
commits or aborts, never both.
"""

from __future__ import annotations

import sys

from kafka import KafkaProducer


def main() -> None:
    bootstrap, topic, partition, *steps = sys.argv[1:]
    producers: dict[str, KafkaProducer] = {}
    count = 0
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
            producer.send(topic, partition=int(partition), value=str(count).encode())
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
