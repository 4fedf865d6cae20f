"""What cannot be changed is what `dataclass` makes of it."""

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, field, replace

import pytest

from chargehand.frozen import frozen


def _body(decorated):
    @decorated
    class Thing:
        """A thing."""

        name: str
        size: int = 1
        parts: list[str] = field(default_factory=list)
        hidden: str = field(default="h", repr=False)
        remark: str = field(default="", compare=False)
        length: int = field(init=False, default=0)

        def __post_init__(self):
            object.__setattr__(self, "length", len(self.name))

    return Thing


@frozen
class Base:
    a: int


@frozen(kw_only=False)
class Pair(Base):
    b: int = field(kw_only=False, default=2)

    def __repr__(self):
        return "a pair"


def _made_often(kind):
    for _ in range(100):
        kind(name="x")
    return kind


def _inspected(kind):
    return [str(each) for each in inspect.signature(kind(name="x").__init__).parameters]


THEIRS = _body(dataclass(frozen=True, slots=True, kw_only=True))
OURS = {"seldom": lambda: _body(frozen), "often": lambda: _made_often(_body(frozen))}
"""What has few instances is made in another way than what has many."""


@pytest.mark.parametrize("made", OURS)
@pytest.mark.parametrize("act", [
    lambda kind: repr(kind(name="x", size=2)),
    lambda kind: kind(name="x") == kind(name="x", remark="other"),
    lambda kind: kind(name="x") == kind(name="x", hidden="other"),
    lambda kind: kind(name="x") == "x",
    lambda kind: asdict(replace(kind(name="x"), name="longer")),
    lambda kind: asdict(copy.deepcopy(kind(name="x", parts=["a"]))),
    lambda kind: kind(name="x").parts is kind(name="x").parts,
    lambda kind: kind.__slots__,
    lambda kind: kind.__match_args__,
    lambda kind: hasattr(kind(name="x"), "__dict__"),
])  # fmt: skip
def test_it_does_what_a_dataclass_does(act, made):
    assert act(OURS[made]()) == act(THEIRS)


def test_what_is_made_often_says_what_it_takes():
    assert _inspected(OURS["often"]()) == _inspected(THEIRS)


@pytest.mark.parametrize("made", OURS)
@pytest.mark.parametrize("act", [
    lambda kind: kind(),
    lambda kind: kind("x"),
    lambda kind: kind("x", name="x"),
    lambda kind: kind(name="x", colour="red"),
    lambda kind: kind(name="x", length=1),
    lambda kind: hash(kind(name="x")),
])  # fmt: skip
def test_it_refuses_what_a_dataclass_refuses(act, made):
    said = []
    for kind in (THEIRS, OURS[made]()):
        with pytest.raises(TypeError) as caught:
            act(kind)
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_nothing_of_it_is_changed():
    thing = OURS["seldom"]()(name="x")
    for name in ("name", "colour"):
        with pytest.raises(FrozenInstanceError, match=name):
            setattr(thing, name, "y")
        with pytest.raises(FrozenInstanceError, match=name):
            delattr(thing, name)


@pytest.mark.parametrize("act", [Pair, lambda: Pair(1, 2, a=3), lambda: Pair(1, b=2, a=3)])
def test_it_refuses_what_it_does_not_know_how_to_place(act):
    with pytest.raises(TypeError, match="__init__"):
        act()


def test_it_inherits_and_says_what_it_says_itself():
    pair = Pair(5, a=1)
    assert (repr(pair), pair.a, pair.b) == ("a pair", 1, 5)
    assert pair == pickle.loads(pickle.dumps(pair)) == Pair(5, a=1) != Pair(a=1)
    assert len({pair, Pair(5, a=1), Base(a=1)}) == 2
