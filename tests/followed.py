"""A place that tracks a real repository on a real server, as its operator has it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chargehand.moment import utc_now
from chargehand.project import Project
from chargehand.store import Store, Stored, open_store
from origin import Origin, daemon
from repository import Repository, job


class Followed(Repository):
    """The operator's folder; its job files are those that the origin has.

    Attributes:
        origin: The repository that is tracked, and whoever pushes to it.
        ledger: One line for every script that ran.
    """

    def __init__(self, folder: Path, url: str, origin: Origin) -> None:
        self.git: dict[str, Any] = {"url": url, "protocols": ["git"], "timeout": 20}
        self.rules: list[dict[str, Any]] = []
        super().__init__(folder / "operator")
        (self.root / "playbooks").rmdir()
        self.origin = origin
        self.ledger = folder / "ledger"
        origin.write(
            "inventory.json", json.dumps({"all": {"hosts": {"here": {"ansible_connection": "local"}}}})
        )

    def settings(self, **changes: object) -> None:
        """Write chargehand.toml, and the table [git] after it."""
        super().settings(**changes)
        text = (self.root / "chargehand.toml").read_text()
        text += "[git]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in self.git.items())
        for rule in self.rules:
            text += "[[git.signers]]\n" + "".join(
                f"{key} = {json.dumps(each)}\n" for key, each in rule.items()
            )
        (self.root / "chargehand.toml").write_text(text)

    def tracking(self, **git: object) -> None:
        """Change the table [git]."""
        self.git |= git
        self.settings()

    def write(self, name: str = "job", **own: Any) -> Path:
        """A job in the origin that notes its name; `script` replaces that."""
        script = own.pop("script", f"echo {name} >> {self.ledger}")
        content = job(script, name=name, **own)
        return self.origin.write(f"playbooks/{name}.json", json.dumps(content))

    def pushed(self, name: str = "job", *, version: int = 1, **push: object) -> Path:
        """A job that pushes start."""
        script = f"echo {name}-{version} >> {self.ledger}"
        return self.write(name, script=script, on={"push": push})

    def project(self) -> Project:
        """As commands load it."""
        return Project.load(self.root)

    def in_force(self) -> str | None:
        """The commit whose files are in force here."""
        head = self.project().head
        return head.commit if head else None

    def ran(self) -> list[str]:
        """What ran, sorted."""
        return sorted(self.ledger.read_text().split()) if self.ledger.exists() else []

    @contextmanager
    def opened(self) -> Iterator[Store]:
        """Its store."""
        with open_store("", state=self.root / ".chargehand", clock=utc_now) as store:
            yield store

    def stored(self) -> list[Stored]:
        """Every invocation, the oldest first."""
        with self.opened() as store:
            records = store.history.page(limit=1000, oldest_first=True).records
            return [store.history.find(record.id, with_output=False) for record in records]

    def logics(self) -> dict[str, str]:
        """What recurs: state by key."""
        with self.opened() as store:
            return {each.key: each.state for each in store.logics.all()}


@contextmanager
def following(folder: Path) -> Iterator[Followed]:
    """An operator's folder, and the server that it tracks."""
    origin = Origin(folder / "origin")
    with daemon(origin.bare.parent) as url:
        yield Followed(folder, f"{url}/{origin.bare.name}", origin)
