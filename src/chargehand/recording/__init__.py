"""Recording: a run written down while it happens.

The intent is in the store before a script is sent, what came of it before the host may forget. A `Book`
is the invocation in the store, a `Ledger` hears of its run, a `Scribe` writes, and an `Excerpt` is what is
kept of an output.
"""

from chargehand.recording.book import Book, called_off, open_book
from chargehand.recording.ledger import KEPT_BYTES, Ledger

__all__ = ["KEPT_BYTES", "Book", "Ledger", "called_off", "open_book"]
