"""TemplateInvocation: one host's share of a job invocation, ready for the runner."""

from chargehand.connection import ConnectionSettings
from chargehand.frozen import frozen
from chargehand.script import RenderedScript
from chargehand.secret import Secret


@frozen(kw_only=False)
class Trouble:
    """Why a host's share cannot be run at all.

    Attributes:
        code: Short name, such as ``render``.
        reason: One line for people.
    """

    code: str
    reason: str


@frozen
class TemplateInvocation:
    """One host's share of a job invocation.

    Exactly one of `script` and `trouble` is there: a host whose script could not be rendered ends as
    not started, and nobody connects to it.

    Attributes:
        host: Name as the inventory spells it.
        host_id: The host's id.
        settings: How it is reached, its provider included.
        script: What runs on it.
        trouble: Why nothing can run on it.
        secrets: Values that must not be seen in its output.
    """

    host: str
    host_id: int = 0
    settings: ConnectionSettings
    script: RenderedScript | None = None
    trouble: Trouble | None = None
    secrets: tuple[Secret, ...] = ()

    def __post_init__(self) -> None:
        if (self.script is None) == (self.trouble is None):
            raise ValueError(f"{self.host}: exactly one of script and trouble is needed")
