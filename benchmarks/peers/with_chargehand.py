"""Our provider without the command around it: open, run, settle, close, one host after the other."""

from task import read_task, tell, timed

from chargehand.connection import ConnectionSettings
from chargehand.event import Stream
from chargehand.provider import Stop
from chargehand.script import RenderedScript
from chargehand.ssh import SshProvider

TASK = read_task()
PROVIDER = SshProvider()


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


@timed
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
    heard = Heard()
    session = PROVIDER.open(settings, Stop())
    try:
        script = RenderedScript(content=(TASK.script or TASK.command).encode())
        ending = session.run(script, heard, Stop())
        session.settle()
    finally:
        session.close()
    return TASK.fits(ending.exit_status, bytes(heard.stdout))


tell([visit(host) for host in TASK.hosts])
PROVIDER.close()
