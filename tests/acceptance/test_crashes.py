"""Whatever instant a run is killed at, it is finished later, and nothing that is said of it is a lie."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crashes import Campaign, Kill
from databases import Server
from repository import LINES, loopback
from sshd import Sshd

pytestmark = pytest.mark.sshd

RUN_S = 1.5
"""About how long a run of ten hosts takes; on a faster machine some are over before their kill comes."""

OFTEN = ("before-intent", "after-intent", "after-send", "after-start", "before-outcome", "after-outcome")
OFTEN += ("before-settle", "after-settle")
ONCE = ("before-create", "after-create", "before-finish", "after-finish")
POINTS = [f"{name}:{times}:KILL" for name in OFTEN for times in (1, 2)]
POINTS += [f"{name}:1:KILL" for name in ONCE]
POINTS += [f"{name}:1:TERM" for name in (*ONCE, *OFTEN)]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """Ten hosts."""
    with Sshd(tmp_path_factory.mktemp("crashes"), addresses=loopback(10), lines=LINES) as sshd:
        yield sshd


@pytest.mark.parametrize("part", range(10))
def test_a_run_that_is_killed_at_any_instant_keeps_every_promise(
    servers: Sshd, tmp_path: Path, part: int
) -> None:
    """Five kills each, one after the other in one repository; `.ci/crashes` makes as many as one likes."""
    campaign = Campaign(tmp_path / "repository", servers, hosts=10, seed=part)
    kills = number = 0
    while kills < 5 and number < 8:
        number += 1
        this = campaign.crash(number, RUN_S)
        kills += this.kills
        assert this.violations == [], f"seed {part}, round {number}"


def test_a_run_recorded_in_postgresql_keeps_every_promise(
    servers: Sshd, tmp_path: Path, postgres: Server
) -> None:
    campaign = Campaign(tmp_path / "repository", servers, hosts=10, store=postgres.create())
    for number in (1, 2, 3):
        assert campaign.crash(number, RUN_S).violations == [], f"round {number}"


@pytest.mark.parametrize("point", POINTS)
def test_a_run_that_ends_at_a_named_point_keeps_every_promise(
    servers: Sshd, tmp_path: Path, point: str
) -> None:
    campaign = Campaign(tmp_path / "repository", servers, hosts=3)
    this = campaign.launch(1, [Kill(failpoint=point)])
    assert this.violations == []
    assert this.kills or point.endswith("TERM")
