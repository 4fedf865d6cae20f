"""parallel-ssh (libssh2, gevent) with a pool as large as the level; it offers no check of host keys."""

from pssh.clients import ParallelSSHClient
from task import read_task, tell

TASK = read_task()

client = ParallelSSHClient(
    TASK.hosts,
    user=TASK.user,
    port=TASK.port,
    pkey=TASK.key,
    pool_size=TASK.level,
    timeout=120,
    num_retries=3,
    allow_agent=False,
    identity_auth=False,
)
output = client.run_command(TASK.command, stop_on_errors=False)
if TASK.script:
    for one in output:
        if one.exception is None:
            one.stdin.write(TASK.script)
            one.stdin.flush()
            one.client.eagain(one.channel.send_eof)
client.join(output)
fits = []
for one in output:
    if one.exception is not None:
        fits.append(one.exception)
        continue
    if TASK.stdout is None:  # too much to be kept a second time
        size = sum(len(line) + 1 for line in one.stdout)
        fits.append(one.exit_code == 0 and size == TASK.stdout_bytes)
    else:
        printed = "".join(line + "\n" for line in one.stdout)
        fits.append(TASK.fits(one.exit_code, printed))
tell(fits)
