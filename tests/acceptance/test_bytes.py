"""What `render` shows is what runs, byte for byte."""

import hashlib
from collections.abc import Callable

import pytest

from repository import Repository, job

pytestmark = pytest.mark.sshd

SELF = 'sha256sum "$0"\n'
SCRIPTS = {
    "plain": f"#!/bin/sh\n{SELF}",
    "no_last_newline": f"#!/bin/sh\n{SELF}# {{{{ host.name }}}} without a last newline",
    "carriage_returns": f"#!/bin/sh\n{SELF}exit\n# carriage\r\n# returns\r\n",
    "utf8": f"#!/bin/sh\n{SELF}# \u00fcml\u00e4ut \u2603 \U0001f980 {{{{ host_param('colour') }}}}\n",
    "blank_lines": f"#!/bin/sh\n{SELF}\n\n\n  : {{{{ 'blank lines at the end' | quote }}}}\n\n\n\n",
    "no_interpreter": f"{SELF}# no first line that says who reads it\n",
    "long_python": "#!/usr/bin/env python3\nimport subprocess, sys\n"
    f"subprocess.run(['sha256sum', sys.argv[0]])\n# {'x' * 70000}\n",
    "shell_characters": f"#!/bin/sh\n{SELF}# tab\there, ' and \" and \\ and $dollars `ticks` %s %% !! $(x)\n",
}


def test_the_bytes_that_run_are_those_that_render_shows(hosts: Callable[..., Repository]) -> None:
    repository = hosts("web1", "web2", colour="\u00e9carlate")
    file = repository.jobs([job(script, name=name) for name, script in SCRIPTS.items()])
    shown = repository.chargehand("render", file, "-o", "json")
    answer = repository.run(file)
    assert answer.code == 0, answer.stderr
    sums = [
        (result["host"], result["stdout"].split()[0])
        for document in answer.document
        for result in document["results"]
    ]
    assert len(sums) == 2 * len(SCRIPTS)
    assert sums == [
        (each["host"], hashlib.sha256(each["script"].encode()).hexdigest()) for each in shown.document
    ]
    assert repository.left() == []


@pytest.mark.parametrize("name", ["no_last_newline", "carriage_returns", "utf8"])
def test_render_prints_those_bytes_and_no_other(hosts: Callable[..., Repository], name: str) -> None:
    repository = hosts("web1", colour="\u00e9carlate")
    expected = SCRIPTS[name].replace("{{ host.name }}", "web1")
    expected = expected.replace("{{ host_param('colour') }}", "\u00e9carlate")
    expected = expected.replace("\r\n", "\n")  # a template's lines end as shells want them to
    assert repository.render(repository.job(SCRIPTS[name]), "web1") == expected.encode()
