"""asyncssh: one loop, a semaphore, the key and known_hosts loaded once, no agent, no ssh_config."""

import asyncio
import time

import asyncssh
from task import read_task, tell

TASK = read_task()
WAIT_S = 120


async def main() -> None:
    """Visit all hosts."""
    options = asyncssh.SSHClientConnectionOptions(
        client_keys=[asyncssh.read_private_key(TASK.key)],
        known_hosts=asyncssh.read_known_hosts(TASK.known_hosts),
        agent_path=None,
        config=None,
        username=TASK.user,
        connect_timeout=WAIT_S,
        login_timeout=WAIT_S,
    )
    slots = asyncio.Semaphore(TASK.level)

    async def visit(host: str) -> bool | Exception:
        async with slots:
            begun = time.perf_counter()
            try:
                async with asyncssh.connect(host, TASK.port, options=options) as connection:
                    result = await connection.run(TASK.command, input=TASK.script, encoding=None)
                    return TASK.fits(result.exit_status, result.stdout, begun)
            except Exception as error:  # noqa: BLE001 - whatever it is, this host failed
                return error

    tell(await asyncio.gather(*map(visit, TASK.hosts)))


TASK = TASK._replace(script=TASK.script.encode())
asyncio.run(main())
