"""Sarif: problems as a log for code scanning.

Source:
    SARIF 2.1.0 (OASIS), and what GitHub Docs, "SARIF support for code scanning", ask for beyond it: a
    region with a line for every result. A problem of no file is told as a notification of the tool.
"""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Final
from urllib.parse import quote

from chargehand import __version__
from chargehand.errors import Place, Problem
from chargehand.report.fingerprint import fingerprints
from chargehand.report.invocation import Json
from chargehand.report.jsontext import dumps

MEANINGS: Final = {
    "blackout": "A blackout names an iCalendar file that can be read.",
    "bookmark": "Saved searches have a name, an id and a query, and a job names one that exists.",
    "cron_line": "A cron line fires, and means the same to every cron.",
    "duplicate-key": "A key stands once in its mapping.",
    "encoding": "A file is UTF-8 text.",
    "git": "The tracked repository gives what is asked of it.",
    "file": "A file that is named is a regular file that can be read.",
    "host": "A host that is named is in the inventory.",
    "hostset": "A folded set of hosts is well formed.",
    "invalid": "Files say what can be carried out.",
    "inventory": "The inventory is what Ansible reads.",
    "inventory-program": "The inventory can be read without running a program.",
    "job": "The parameters of a job go together.",
    "limit": "A file stays within the bounds of size, depth and aliases.",
    "location": "A location that is named exists.",
    "notify": "Messages about runs have an address and an occasion.",
    "on": "A git trigger names branches and paths that can be matched.",
    "organization": "An organization that is named exists.",
    "parameters": "The description of the parameters is well formed.",
    "render": "A script can be rendered for every host.",
    "render-limit": "Rendering stays within its bounds of time, memory and size.",
    "rerun": "The hosts of a run are still in the inventory.",
    "schema": "A job file is shaped as its schema says.",
    "schema-build": "The schema is made from the description of the parameters.",
    "search": "A search query is understood.",
    "secret": "A secret is a reference, never written out.",
    "settings": "The settings are known keys with values of the right kind.",
    "syntax": "A file is valid YAML or JSON.",
    "targeting": "A job matches hosts, and not more than it allows.",
    "taxonomy": "Locations and organizations are well formed.",
    "template": "A job template and its inputs are well formed.",
    "time": "Times exist, are not over, and leave the job room to run.",
    "vault": "What is encrypted can be opened.",
    "webhook": "What hears of pushes has an address that can be listened on, and secrets.",
    "yaml": "A file uses only the plain part of YAML: no tags, bounded aliases, keys that are text.",
}
"""What each rule asks for, by its name in `Problem.rule`."""


def sarif(problems: Sequence[Problem]) -> str:
    """One log with one run; files are relative to the root of the sources."""
    placed = [problem for problem in problems if problem.place]
    rules = sorted({problem.rule for problem in problems})
    driver: Json = {
        "name": "chargehand",
        "semanticVersion": __version__,
        "rules": [{"id": rule, "shortDescription": {"text": MEANINGS.get(rule, rule)}} for rule in rules],
    }
    run: Json = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The root of the sources."}}},
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [
                    {"level": each.severity, "message": {"text": told(each)}, "descriptor": {"id": each.rule}}
                    for each in problems
                    if not each.place
                ],
            }
        ],
        "results": [
            _result(problem, problem.place, rules, known)
            for problem, known in zip(placed, fingerprints(placed), strict=True)
            if problem.place
        ],
    }
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return dumps({"$schema": schema, "version": "2.1.0", "runs": [run]})


def told(problem: Problem) -> str:
    """A problem and what to do about it, without where it is."""
    return f"{problem.message}\n{problem.hint}" if problem.hint else problem.message


def _result(problem: Problem, place: Place, rules: Sequence[str], fingerprint: str) -> Json:
    region = {"startLine": place.line or 1, "startColumn": place.column}
    return {
        "ruleId": problem.rule,
        "ruleIndex": rules.index(problem.rule),
        "level": problem.severity,
        "message": {"text": told(problem)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": _artifact(place.file),
                    "region": {key: value for key, value in region.items() if value is not None},
                }
            }
        ],
        "partialFingerprints": {"problem/v1": fingerprint},
    }


def _artifact(file: str) -> Json:
    path = PurePath(file)
    return {"uri": path.as_uri()} if path.is_absolute() else {"uri": quote(file), "uriBaseId": "%SRCROOT%"}
