"""Our provider without the command around it: open, run, settle, close, in a strand, host by host."""

import time

from task import read_task, tell

from chargehand.connection import ConnectionSettings
from chargehand.event import Stream
from chargehand.provider import Stop
from chargehand.script import RenderedScript
from chargehand.ssh import SshProvider
from chargehand.strand import Hub

TASK = read_task()
PROVIDER = SshProvider()
HUB = Hub()
RESULTS: list[bool] = []


class Heard:
    """A watcher that keeps stdout."""

    def __init__(self) -> None:
        self.stdout = bytearray()

    def started(self) -> None:
        """Nothing to do."""

    def output(self, stream: Stream, chunk: bytes) -> None:
        """Keep it."""
        if stream == "stdout":
            self.stdout += chunk


def visit(host: str) -> bool:
    """Run the task on one host."""
    settings = ConnectionSettings(
        address=host,
        port=TASK.port,
        user=TASK.user,
        private_key_file=TASK.key,
        agent=False,
        known_hosts_files=(TASK.known_hosts,),
        ssh_config_file="/dev/null",
    )
    script, heard = RenderedScript(content=(TASK.script or TASK.command).encode()), Heard()
    begun = time.perf_counter()
    session = PROVIDER.open(settings, Stop(), script)
    try:
        ending = session.run(script, heard, Stop())
        fits = TASK.fits(ending.exit_status, bytes(heard.stdout), begun)
        session.settle()
    finally:
        session.close()
    return fits


def visit_all() -> None:
    """Run the task on one host after the other."""
    RESULTS.extend(visit(host) for host in TASK.hosts)
    PROVIDER.close()


HUB.spawn(visit_all)
HUB.run()
tell(RESULTS)
