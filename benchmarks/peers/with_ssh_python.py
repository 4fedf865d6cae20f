"""ssh-python (libssh) in a pool of threads: the key loaded once, host keys compared with known_hosts."""

import time
from concurrent.futures import ThreadPoolExecutor

from ssh import options
from ssh.key import import_privkey_file
from ssh.session import Session
from task import read_known_hosts, read_task, tell

TASK = read_task()
KEY = import_privkey_file(TASK.key)
KNOWN = read_known_hosts(TASK)


def visit(host: str) -> bool | Exception:
    """Run the task on one host."""
    begun = time.perf_counter()
    session = Session()
    session.options_set(options.HOST, host)
    session.options_set(options.USER, TASK.user)
    session.options_set_port(TASK.port)
    session.options_set(options.TIMEOUT, "120")
    try:
        session.connect()
        _, known = KNOWN[f"[{host}]:{TASK.port}"]
        found = session.get_server_publickey().export_pubkey_base64()
        if found != known.encode():
            return False
        session.userauth_publickey(KEY)
        return command(session, begun)
    except Exception as error:  # noqa: BLE001 - whatever it is, this host failed
        return error
    finally:
        session.disconnect()


def command(session: Session, begun: float) -> bool:
    """Run the command and read what it prints."""
    channel = session.channel_new()
    channel.open_session()
    channel.request_exec(TASK.command)
    if TASK.script:
        channel.write(TASK.script.encode())
    channel.send_eof()
    pieces = []
    while True:
        size, piece = channel.read(32768)
        if size <= 0:
            break
        pieces.append(piece)
    fits = TASK.fits(channel.get_exit_status(), b"".join(pieces), begun)
    channel.close()
    return fits


with ThreadPoolExecutor(TASK.level) as pool:
    tell(list(pool.map(visit, TASK.hosts)))
