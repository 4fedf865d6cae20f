"""Fabric's Connection in a pool of threads: a Config for each, the key loaded once, host keys verified.

A Config cannot be shared by threads: now and then all hosts of a run failed on an attribute that it had lost.

A script goes as the text of the command: over stdin Fabric sends it character by character, ten times slower.
"""

import base64
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import paramiko
from fabric import Config, Connection
from task import read_known_hosts, read_task, tell

TASK = read_task()
KEY = paramiko.Ed25519Key.from_private_key_file(TASK.key)
KNOWN = read_known_hosts(TASK)
WAIT_S = 120
LOGIN = {
    "pkey": KEY,
    "allow_agent": False,
    "look_for_keys": False,
    "banner_timeout": WAIT_S,
    "auth_timeout": WAIT_S,
    "channel_timeout": WAIT_S,
}
HERE = threading.local()


def visit(host: str) -> bool | Exception:
    """Run the task on one host."""
    begun = time.perf_counter()
    if not hasattr(HERE, "config"):
        HERE.config = Config(overrides={"load_ssh_configs": False})
    connection = Connection(
        host, user=TASK.user, port=TASK.port, config=HERE.config, connect_timeout=WAIT_S, connect_kwargs=LOGIN
    )
    name = f"[{host}]:{TASK.port}"
    kind, key = KNOWN[name]
    connection.client.get_host_keys().add(name, kind, paramiko.Ed25519Key(data=base64.b64decode(key)))
    connection.client.set_missing_host_key_policy(paramiko.RejectPolicy())
    try:
        result = connection.run(TASK.script or TASK.command, hide=True, warn=True, in_stream=False)
        return TASK.fits(result.exited, result.stdout, begun)
    except Exception as error:  # noqa: BLE001 - whatever it is, this host failed
        return error
    finally:
        connection.close()


with ThreadPoolExecutor(TASK.level) as pool:
    tell(list(pool.map(visit, TASK.hosts)))
