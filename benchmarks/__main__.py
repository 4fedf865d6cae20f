"""Benchmarks: python -m benchmarks NAME [options]; `python -m benchmarks NAME --help` says more."""

import importlib
import signal
import sys

NAMES = {
    "fanout": "`true` and a short script on 50 to 1,000 hosts, against everybody",
    "held": "1,000 connections that wait",
    "latency": "hosts that are 50 ms away",
    "slots": "how soon a freed slot is used again",
    "wrapper": "what the start of a script takes of the host itself",
    "flood": "1 GB of output",
    "series": "several jobs in a row on the same hosts",
    "scale": "10,000 hosts beside 1,000",
    "tarpits": "100 hosts among 1,000 that stay silent",
    "recording": "recording 10,000 results beside not recording them",
    "history": "how long commands take in a long history",
    "preparation": "what happens before the first connection: help, inventories, plans, searches",
}
"""What each measures; it is a module of this package with a function `main`."""


def main() -> None:
    """Call the benchmark that was named."""
    if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
        print(__doc__, *(f"  {name:12} {what}" for name, what in NAMES.items()), sep="\n", file=sys.stderr)
        sys.exit(2)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers and namespaces go then too
    importlib.import_module(f"benchmarks.{sys.argv[1]}").main(sys.argv[2:])


if __name__ == "__main__":
    main()
