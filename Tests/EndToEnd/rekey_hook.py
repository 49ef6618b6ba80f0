"""A hook of `test_rekey.py`'s plan: says which clients are to work where, and waits until they do.

Files in the directory that is the first argument: `producer.want` and `consumer.want` hold a bootstrap
address or nothing; `.is` the same once the clients have come to that.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path


def main() -> int:
    directory = Path(sys.argv[1])
    action, place = os.environ["FERRY_ACTION"], os.environ["FERRY_BOOTSTRAP"]
    client, wanted = {
        "fence": ("producer", ""),
        "unfence": ("producer", place),
        "switch": ("producer", place),
        "pause": ("consumer", ""),
        "resume": ("consumer", place),
    }[action]
    text = wanted.replace('"', "")
    part = directory / f"{client}.part"
    part.write_text(text)
    part.rename(directory / f"{client}.want")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if (directory / f"{client}.is").read_text() == text:
                return 0
        except FileNotFoundError:
            pass
        time.sleep(0.02)
    print(f"{client} did not come to {text or 'rest'}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
