"""What people see who write job files in an editor: the real yaml-language-server, asked over stdio."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from chargehand.scaffold import write_project
from chargehand.schema import schema_path
from npm import NODE, node_file

pytestmark = pytest.mark.node
MODELINE = "# yaml-language-server: $schema=../schemas/job.schema.json\n"


class Editor:
    """One session with a language server, with no setting of its own: all it knows is in the files."""

    def __init__(self, folder: Path) -> None:
        server = node_file("yaml-language-server/bin/yaml-language-server")
        self._server = subprocess.Popen(
            [str(NODE), str(server), "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._folder = folder
        self._number = 0
        self._published: dict[str, list[dict[str, Any]]] = {}
        root = folder.as_uri()
        self.ask(
            "initialize",
            processId=None,
            rootUri=root,
            capabilities={"workspace": {"configuration": True}},
            workspaceFolders=[{"uri": root, "name": "fleet"}],
        )
        self._send("initialized", params={})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.kill()
        self._server.communicate()

    def open(self, name: str, text: str) -> str:
        """Open a job file; how requests name it."""
        uri = (self._folder / "playbooks" / name).as_uri()
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self._send("textDocument/didOpen", params={"textDocument": document})
        return uri

    def ask(self, method: str, **params: object) -> Any:
        """The answer to a request."""
        self._number += 1
        number = self._number
        self._send(method, id=number, params=params)
        while True:
            message = self._hear()
            if message.get("id") == number and "method" not in message:
                assert "error" not in message, message
                return message["result"]

    def at(self, method: str, uri: str, text: str, marked: str) -> Any:
        """The answer to a request about the place after the first `marked` in the text."""
        before = text[: text.index(marked) + len(marked)]
        position = {"line": before.count("\n"), "character": len(before) - before.rfind("\n") - 1}
        return self.ask(f"textDocument/{method}", textDocument={"uri": uri}, position=position)

    def complaints(self, uri: str) -> list[dict[str, Any]]:
        """What the server says is wrong with a file, as soon as it says so."""
        while uri not in self._published:
            self._hear()
        return self._published[uri]

    def _send(self, method: str, **rest: object) -> None:
        self._write({"jsonrpc": "2.0", "method": method, **rest})

    def _write(self, message: object) -> None:
        content = json.dumps(message).encode()
        assert self._server.stdin
        self._server.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(content), content))
        self._server.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        """The next message; what the server asks for, an editor without settings answers."""
        assert self._server.stdout
        length = 0
        while line := self._server.stdout.readline().strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        assert length, "the server has ended"
        message: dict[str, Any] = json.loads(self._server.stdout.read(length))
        if "method" in message and "id" in message:
            asked = message.get("params") or {}
            nothing = [None] * len(asked["items"]) if "items" in asked else None
            self._write({"jsonrpc": "2.0", "id": message["id"], "result": nothing})
        if message.get("method") == "textDocument/publishDiagnostics":
            self._published[message["params"]["uri"]] = message["params"]["diagnostics"]
        return message


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    folder = tmp_path_factory.mktemp("editors") / "fleet"
    write_project(folder, schema_path())
    with Editor(folder) as session:
        yield session


def labels(found: Any) -> set[str]:
    return {item["label"] for item in found["items"]}


def test_the_values_of_a_parameter_are_offered(editor: Editor) -> None:
    text = f"{MODELINE}job_invocation:\n  targeting_type: \n"
    uri = editor.open("values.yml", text)
    assert {"static_query", "dynamic_query"} <= labels(editor.at("completion", uri, text, "_type: "))


def test_the_parameters_of_a_job_invocation_are_offered_with_their_descriptions(editor: Editor) -> None:
    text = f"{MODELINE}job_invocation:\n  search_query: web\n  \n"
    uri = editor.open("keys.yml", text)
    found = editor.at("completion", uri, text, "web\n  ")
    assert {"targeting_type", "concurrency_control", "execution_timeout_interval"} <= labels(found)
    assert "search_query" not in labels(found)
    (offered,) = (item for item in found["items"] if item["label"] == "bookmark_id")
    assert "saved search" in str(offered["documentation"])


def test_hovering_over_a_parameter_shows_its_description(editor: Editor) -> None:
    text = f"{MODELINE}job_invocation:\n  targeting_type: static_query\n"
    uri = editor.open("hover.yml", text)
    shown = str(editor.at("hover", uri, text, "targeting_")["contents"])
    properties = json.loads(schema_path().read_text("utf-8"))["$defs"]["job"]["properties"]
    described = properties["job_invocation"]["properties"]["targeting_type"]["description"]
    assert described[:40] in shown.replace("\\_", "_").replace("\\", "")


def test_a_wrong_value_is_underlined_where_it_stands_and_a_right_file_is_not(editor: Editor) -> None:
    body = "name: Greet\njob_invocation:\n  targeting_type: statically\n  search_query: web\nscript: id\n"
    text = MODELINE + body
    wrong = editor.complaints(editor.open("wrong.yml", text))
    ranges = [complaint["range"]["start"] for complaint in wrong]
    assert {"line": 3, "character": 18} in ranges, wrong
    right = editor.open("right.yml", text.replace("statically", "static_query"))
    assert editor.complaints(right) == []


def test_a_misspelt_key_is_underlined(editor: Editor) -> None:
    text = f"{MODELINE}job_invocation: {{targetting_type: static_query, search_query: web}}\nscript: id\n"
    complaints = editor.complaints(editor.open("key.yml", text))
    assert any("targetting_type" in complaint["message"] for complaint in complaints), complaints
