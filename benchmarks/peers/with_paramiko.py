"""paramiko in a pool of threads: the key loaded once, host keys read once, no agent, no search for keys."""

import base64
import time
from concurrent.futures import ThreadPoolExecutor

import paramiko
from task import read_known_hosts, read_task, tell

TASK = read_task()
KEY = paramiko.Ed25519Key.from_private_key_file(TASK.key)
KNOWN = read_known_hosts(TASK)
WAIT_S = 120


def visit(host: str) -> bool | Exception:
    """Run the task on one host."""
    begun = time.perf_counter()
    client = paramiko.SSHClient()
    name = f"[{host}]:{TASK.port}"
    kind, key = KNOWN[name]
    client.get_host_keys().add(name, kind, paramiko.Ed25519Key(data=base64.b64decode(key)))
    try:
        client.connect(
            host, TASK.port, TASK.user, pkey=KEY, allow_agent=False, look_for_keys=False,
            timeout=WAIT_S, banner_timeout=WAIT_S, auth_timeout=WAIT_S, channel_timeout=WAIT_S,
        )  # fmt: skip
        stdin, stdout, _ = client.exec_command(TASK.command)
        if TASK.script:
            stdin.write(TASK.script)
        stdin.channel.shutdown_write()
        printed = stdout.read()
        return TASK.fits(stdout.channel.recv_exit_status(), printed, begun)
    except Exception as error:  # noqa: BLE001 - whatever it is, this host failed
        return error
    finally:
        client.close()


with ThreadPoolExecutor(TASK.level) as pool:
    tell(list(pool.map(visit, TASK.hosts)))
