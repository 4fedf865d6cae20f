"""Workers: the provider ``ssh-processes``, which has the hosts of one run served by several processes.

Everything but the connections stays here: turns, the record, what is shown. A worker is a fresh Python that
reaches hosts as the provider ``ssh`` does, and hears and tells by one socket what a session is asked for.
"""

from chargehand.provider import Provider, find_provider
from chargehand.strand import HUBS
from chargehand.workers.message import INNER
from chargehand.workers.provider import WorkersProvider

__all__ = ["WorkersProvider", "processes_provider"]


def processes_provider() -> Provider:
    """The provider; where a system has no hubs, the one that its workers would use."""
    return WorkersProvider() if HUBS else find_provider(INNER)()
