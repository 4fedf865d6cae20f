"""A regular expression that is compiled when it is first used is one that was compiled before."""

import re
from importlib import import_module
from pkgutil import walk_packages

import pytest

import chargehand
from chargehand.expression import expression


def test_it_answers_as_a_compiled_one() -> None:
    asked = expression(r"(?P<letter>[a-z])\d", re.IGNORECASE)
    compiled = re.compile(r"(?P<letter>[a-z])\d", re.IGNORECASE)
    assert asked.sub("-", "A1b2") == compiled.sub("-", "A1b2") == "--"
    assert [found["letter"] for found in asked.finditer("A1b2")] == ["A", "b"]
    assert asked.fullmatch("a") is None
    assert (asked.pattern, asked.flags, asked.groups) == (compiled.pattern, compiled.flags, compiled.groups)


def test_one_over_bytes_answers_as_well() -> None:
    assert expression(rb"[0-9]+").findall(b"1 22") == [b"1", b"22"]


def test_it_is_compiled_when_it_is_first_used(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    monkeypatch.setattr(
        re, "compile", lambda *words, compile=re.compile: compiled.append(words) or compile(*words)
    )
    asked = expression(r"\d")
    assert compiled == []
    assert [bool(asked.search(text)) for text in ("1", "one")] == [True, False]
    assert compiled == [(r"\d", 0)]


def test_each_of_ours_can_be_compiled() -> None:
    modules = [
        import_module(module.name)
        for module in walk_packages(chargehand.__path__, "chargehand.")
        if not module.name.endswith(("__main__", ".migrations.env"))
    ]
    kind = type(expression(""))
    found = {
        id(value): value for module in modules for value in vars(module).values() if isinstance(value, kind)
    }
    assert all(each.pattern for each in found.values())
    assert len(found) > 50
