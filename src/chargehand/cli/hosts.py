"""``chargehand hosts`` and ``hosts explain``."""

from datetime import UTC, datetime

from chargehand.cli import screen
from chargehand.cli.planning import open_planner
from chargehand.cli.requests.looking import HostsRequest
from chargehand.errors import NoHostMatchedError, UsageError, did_you_mean
from chargehand.host import Host
from chargehand.inventory import Inventory
from chargehand.targeting import narrow


def hosts(request: HostsRequest) -> int:
    """List hosts, or explain a variable of one."""
    inventory = open_planner(request).inventory
    for warning in inventory.warnings:
        screen.note_problem(warning)
    if request.words[:1] == ("explain",) and len(request.words) == 3:
        return _explain(inventory, request.words[1], request.words[2], request.output)
    found = _search(inventory, " ".join(request.words))
    if request.output == "json":
        screen.say_json([_host(host, inventory) for host in found])
    else:
        for host in found:
            screen.say(host.name)
    return 0


def _search(inventory: Inventory, query: str) -> tuple[Host, ...]:
    if not query:
        return tuple(inventory)
    found = narrow(inventory, query, inventory, now=datetime.now(UTC))
    if not found:
        raise NoHostMatchedError(f"no host matches `{query}`")
    return found


def _host(host: Host, inventory: Inventory) -> dict[str, object]:
    return {
        "id": host.id,
        "name": host.name,
        "groups": list(host.groups),
        "vars": inventory.shown_vars(host.name),
    }


def _explain(inventory: Inventory, host: str, name: str, output: str) -> int:
    if host not in inventory:
        hint = did_you_mean(host, (known.name for known in inventory))
        raise UsageError(f"no host `{host}`" + (f"; {hint}" if hint else ""))
    origins = inventory.explain(host, name)
    if output == "json":
        screen.say_json(
            [
                {"scope": each.scope, "place": str(each.place), "value": each.value, "wins": each.wins}
                for each in origins
            ]
        )
        return 0
    if not origins:
        hint = did_you_mean(name, inventory[host].vars)
        raise UsageError(f"{host} has no variable `{name}`" + (f"; {hint}" if hint else ""))
    rows = [["->" if each.wins else "", str(each.value), each.scope, str(each.place)] for each in origins]
    screen.say_table(("", "VALUE", "FROM", "PLACE"), rows)
    return 0
