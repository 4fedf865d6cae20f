"""Rendering: what templates see, what they may cost, and what they cannot reach."""

import json
import random
import re
import shutil
import string
import subprocess
from collections.abc import Iterator
from pathlib import Path

import jinja2
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from chargehand.errors import Problem, TemplateError
from chargehand.host import Host
from chargehand.render.limits import RenderLimits
from chargehand.render.lint import lint
from chargehand.render.renderer import Renderer
from chargehand.secret import Secret
from chargehand.template import JobTemplate, Templates, read_template
from laws import tried

CASES = Path(__file__).parent / "cases/template"
SHELLS = [
    ["dash"],
    ["bash", "--posix"],
    ["bash"],
    ["ksh"],
    ["busybox", "sh"],
    ["zsh"],
]
WEB1 = Host(
    name="web1.example.com",
    id=7,
    groups=("debian", "web"),
    vars={
        "ansible_host": "192.0.2.1",
        "port": 22,
        "nothing": None,
        "ports": {80: "http", "ssh": 22},
        "pw": Secret("hunter2"),
        "facts": {
            "kernel": "Linux",
            "os": {"name": "Debian", "release.major": "12"},
            "disks": [{"n": "sda"}],
        },
    },
)
WEB2 = Host(
    name="web2.example.com", id=8, groups=("web",), vars={"port": 2222, "input": "shadowed", "host": "x"}
)
HOSTS = [WEB1, WEB2]


def template(body: str, inputs: str = "", name: str = "T", more: str = "") -> JobTemplate:
    """A template whose body begins on line 6 of its file."""
    head = f"{{#\nname: {name}\njob_category: Misc\ntemplate_inputs: [{inputs}]\n{more}#}}\n"
    return read_template(head + body, f"{name}.j2")


def render(
    body: str, inputs: str = "", host: Host | None = WEB1, preview: bool = False, **values: str | Secret
) -> str:
    found = template(body, inputs)
    with Renderer(Templates([found]), HOSTS) as renderer:
        return renderer.render(found, values, host, preview=preview)


def is_plain(body: str) -> bool:
    """Whether Jinja has nothing to do with it."""
    return not re.search("{[{%#]", body)


def problem(body: str, inputs: str = "", host: Host = WEB1, **values: str | Secret) -> Problem:
    with pytest.raises(TemplateError) as caught:
        render(body, inputs, host, **values)
    (found,) = caught.value.problems
    return found


@pytest.fixture(scope="module")
def shared() -> Iterator[Renderer]:
    """One renderer, and so one worker, for all tests that break no limit."""
    with Renderer(Templates([]), HOSTS) as renderer:
        yield renderer


# what a template sees


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{{ inventory_hostname }} {{ inventory_hostname_short }}", "web1.example.com web1"),
        (
            "{{ group_names }} {{ groups.web | join(',') }}",
            "['debian', 'web'] web1.example.com,web2.example.com",
        ),
        ("{{ groups.all | length }} {{ groups.debian }}", "2 ['web1.example.com']"),
        ("{{ hostvars['web2.example.com'].port }}", "2222"),
        ("{{ hostvars['web2.example.com'].inventory_hostname_short }}", "web2"),
        ("{{ ansible_host }} {{ port + 1 }}", "192.0.2.1 23"),
        (
            "{{ host.name }} {{ host.id }} {{ host.facts.os.name }} {{ host.vars.port }}",
            "web1.example.com 7 Debian 22",
        ),
        ("{{ host_param('port') }} {{ host_param('nope', 'x') }}", "22 x"),
        ("{{ ports[80] }} {{ ports.ssh }}", "http 22"),
        ("{{ nothing | default('x', true) }}{{ nope | default('y') }}", "xy"),
        ("{% if nope is defined %}a{% else %}b{% endif %}{{ pw is defined }}", "bTrue"),
        ("{{ 'a b' | quote }} {{ 5 | quote }}", "'a b' 5"),
        ("{{ ['a b', 'c'] | map('quote') | join(' ') }}", "'a b' c"),
        ("{{ {'b': [1, 'x'], 'a': none} | to_json }}", '{"b": [1, "x"], "a": null}'),
        ("{{ ('[1]' | from_json)[0] }}", "1"),
        ("{{ 'ü' | b64encode }} {{ 'w7w=' | b64decode }}", "w7w= ü"),
        ("{{ 'a\nb' | indent(2) }}", "a\n  b"),
        ("{% call cached('k') %}1{% endcall %}{% call cached('k') %}2{% endcall %}", "11"),
        ("{{ preview }}", "False"),
        ("a\r\n\tb  \n\n", "a\n\tb  \n\n"),
        ("{% for i in range(3) %}{{ i }}{% endfor %}", "012"),
        ("{% set n = namespace(x=1) %}{% set n.x = 2 %}{{ n.x }}", "2"),
        ("{{ '{{ 1 + 1 }}' }}{% raw %}{{ x }}{% endraw %}", "{{ 1 + 1 }}{{ x }}"),
        ("", ""),
    ],
)
def test_a_template_sees_plain_data(shared, body, expected):
    assert shared.render(template(body), {}, WEB1) == expected


def test_our_own_words_go_before_host_variables_which_stay_within_reach(shared):
    found = template(
        "{{ input('a') }} {{ host.name }} {{ host.vars.input }} {{ host.vars.host }}", "{name: a}"
    )
    assert shared.render(found, {"a": "1"}, WEB2) == "1 web2.example.com shadowed x"


@tried(60)
@given(body=st.one_of(st.text(max_size=80), st.text("{}%#\n x", max_size=9)).filter(is_plain))
def test_a_body_without_a_word_for_jinja_is_its_own_script(shared, body):
    def scripts(body: str) -> list[str | Problem]:
        return shared.render_all(template(body), {}, HOSTS)

    for ours, jinjas in zip(scripts(body), scripts("{##}" + body), strict=True):
        assert ours == jinjas or isinstance(ours, Problem) is isinstance(jinjas, Problem) is True


def test_what_comes_in_is_never_rendered(shared):
    evil = Host(name="h", id=1, vars={"v": "{{ 7 * 7 }}", "facts": {"f": "{% raw %}"}})
    found = template(
        "{{ v }} {{ input('a') }} {{ input('f') }}", "{name: a}, {name: f, input_type: fact, fact_name: f}"
    )
    assert shared.render(found, {"a": "{{ 6 * 6 }}"}, evil) == "{{ 7 * 7 }} {{ 6 * 6 }} {% raw %}"


def test_rendering_twice_gives_equal_bytes(shared):
    body = (
        "{{ host }}{{ hostvars | dictsort }}{{ {'b': 1, 'a': 2} | to_json }}{{ ['b', 'a'] | unique | list }}"
    )
    plain = Host(name="h", id=1, vars={"z": 1, "a": [1, {"x": 2}]})
    found = template(body)
    with Renderer(Templates([found]), [plain]) as first, Renderer(Templates([found]), [plain]) as second:
        assert first.render(found, {}, plain) == second.render(found, {}, plain)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), inner, max_size=4
            )
        ),
        max_leaves=12,
    )
)
@tried(40)
def test_data_reaches_a_template_and_leaves_it_unchanged(shared, value):
    found = template("{{ v | to_json }}\n\n{{ v | to_yaml }}")
    text = shared.render(found, {}, Host(name="h", id=1, vars={"v": value}))
    as_json, as_yaml = text.split("\n\n", 1)
    assert json.loads(as_json) == value
    assert yaml.safe_load(as_yaml) == value


@pytest.mark.parametrize("value", ["5e-324", "1e16", "-1.5e300", "inf", "-inf", "0.1"])
def test_a_float_in_yaml_stays_one_for_readers_of_yaml_1_1(shared, value):
    found = template("{{ v | to_yaml }}")
    text = shared.render(found, {}, Host(name="h", id=1, vars={"v": float(value)}))
    assert yaml.safe_load(text) == float(value)


# inputs


INPUTS = (
    "{name: user, default: u}, {name: needed, required: true}, {name: free}, {name: items},"
    "{name: kernel, input_type: fact, fact_name: kernel},"
    "{name: major, input_type: fact, fact_name: 'os::release.major', default: '0'},"
    "{name: disk, input_type: fact, fact_name: disks.0.n, required: true},"
    "{name: port, input_type: variable, variable_name: port}"
)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{{ input('user') }}{{ inputs.user }}{{ inputs['user'] }}", "uuu"),
        ("{{ inputs.items }}{{ input('free') }}|", "i|"),
        ("{{ input('kernel') }} {{ input('disk') }} {{ input('port') }}", "Linux sda 22"),
        ("{{ 'user' in inputs }}{{ 'nope' in inputs }}", "TrueFalse"),
    ],
)
def test_inputs_are_read(shared, body, expected):
    assert shared.render(template(body, INPUTS), {"items": "i"}, WEB1) == expected


def test_an_absent_optional_fact_is_its_default_or_empty(shared):
    found = template("[{{ input('kernel') }}][{{ input('major') }}][{{ input('port') }}]", INPUTS)
    assert shared.render(found, {}, Host(name="bare", id=1)) == "[][0][]"


def test_a_fact_is_found_by_its_whole_name_first(shared):
    found = template("{{ input('f') }}", "{name: f, input_type: fact, fact_name: a.b}")
    assert (
        shared.render(found, {}, Host(name="h", id=1, vars={"facts": {"a.b": "1", "a": {"b": "2"}}})) == "1"
    )


@pytest.mark.parametrize(
    ("body", "message", "hint"),
    [
        ("{{ input('need') }}", "there is no input `need`", "did you mean `needed`?"),
        ("{{ inputs.need }}", "there is no input `need`", "did you mean `needed`?"),
        ("{{ input('needed') }}", "the required input `needed` has no value", None),
        (
            "{{ input('disk') }}",
            "the required input `disk` has no value: the host has no fact `disks.0.n`",
            None,
        ),
    ],
)
def test_an_input_that_cannot_be_read_is_an_error(shared, body, message, hint):
    with pytest.raises(TemplateError) as caught:
        shared.render(template(body, INPUTS), {}, WEB2)
    (found,) = caught.value.problems
    assert (found.message, found.hint) == (f"template `T`: {message}", hint)


def test_a_preview_shows_defaults_and_placeholders_and_hides_what_is_hidden(shared):
    found = template(
        "{{ input('user') }} {{ input('needed') }} {{ input('kernel') }} {{ input('h') }} "
        "{{ input('s') }}{{ preview }}",
        INPUTS + ", {name: h, hidden_value: true}, {name: s}",
    )
    values = {"h": "hunter2", "s": Secret("hunter3")}
    assert shared.render(found, values, None, preview=True) == (
        "u $USER_INPUT[needed] $FACT_INPUT[kernel] *** ***True"
    )
    assert shared.render(found, values | {"needed": "n"}, WEB1) == "u n Linux hunter2 hunter3False"


# one template in another


def test_a_template_renders_another_with_given_inherited_and_default_inputs():
    run = template(
        "{{ input('a') }}-{{ input('b') }}-{{ input('c') }}",
        "{name: a}, {name: b}, {name: c, default: d}",
        "Run",
    )
    outer = template(
        "{{ render_template('Run', {'a': '1'}) }} {{ render_template('Run', with_foreign_input_set=false) }}",
        "",
        "Outer",
        "foreign_input_sets: [{template: Run, exclude: c}]\n",
    )
    with Renderer(Templates([run, outer]), HOSTS) as renderer:
        assert renderer.render(outer, {"a": "x", "b": "y"}, WEB1) == "1-y-d --d"


def test_a_snippet_sees_the_inputs_of_who_includes_it():
    snippet = read_template("got {{ input('a') }} on {{ inventory_hostname_short }}", "_part.j2")
    outer = template("{{ snippet('part') }}!", "{name: a}")
    with Renderer(Templates([snippet, outer])) as renderer:
        assert renderer.render(outer, {"a": "1"}, WEB1) == "got 1 on web1!"


@pytest.mark.parametrize(
    ("body", "message", "hint"),
    [
        ("{{ render_template('Outr') }}", "there is no template `Outr`", "did you mean `Outer`?"),
        ("{{ snippet('Inner') }}", "`Inner` is no snippet", "use `render_template('Inner', {...})`"),
        (
            "{{ render_template('Inner', {'b': 1}) }}",
            "template `Inner` has no input `b`",
            "known: aa",
        ),
        (
            "{{ render_template('Inner') }}",
            "templates render one another in a circle: Outer > Inner > Outer",
            None,
        ),
        ("{% include 'Outer' %}", "the template is nested too deep", None),
    ],
)
def test_templates_that_name_others_wrongly_are_refused(body, message, hint):
    inner = template("{{ render_template('Outer') }}", "{name: aa}", "Inner")
    outer = template(body, "", "Outer")
    with Renderer(Templates([inner, outer])) as renderer, pytest.raises(TemplateError) as caught:
        renderer.render(outer, {}, WEB1)
    (found,) = caught.value.problems
    assert (found.message, found.hint) == (f"template `Outer`: {message}", hint)


def test_an_error_inside_a_snippet_names_the_snippets_own_line():
    snippet = read_template("one\ntwo\n{{ nope }}", "_part.j2")
    outer = template("{{ snippet('part') }}")
    with Renderer(Templates([snippet, outer])) as renderer, pytest.raises(TemplateError) as caught:
        renderer.render(outer, {}, WEB1)
    assert str(caught.value.problems[0].place) == "_part.j2:3"


# errors


@pytest.mark.parametrize(
    ("body", "place", "message", "hint"),
    [
        (
            "\n\n{{ inventory_hostnam }}",
            "T.j2:8",
            "`inventory_hostnam` is not defined",
            "did you mean `inventory_hostname`?",
        ),
        ("{% if prot == 22 %}{% endif %}", "T.j2:6", "`prot` is not defined", "did you mean `port`?"),
        ("{{ host.fact }}", "T.j2:6", "`fact` is not defined there", "did you mean `facts`?"),
        ("\n{{ hostvars['web3.example.com'] }}", "T.j2:7", "`web3.example.com` is not defined there", None),
        ("{{ nothing }}", "T.j2:6", "the value is null; give another with `| default('...', true)`", None),
        (
            "{{ nothing | quote }}",
            "T.j2:6",
            "a null is not one word; choose its part, or quote every item of a list",
            None,
        ),
        ("{{ input }}", "T.j2:6", "a method is not text; call it, or add `| list` or `| join`", None),
        (
            "{{ [1] | map('string') }}",
            "T.j2:6",
            "a generator is not text; call it, or add `| list` or `| join`",
            None,
        ),
        ("\n{{ 1 / 0 }}", "T.j2:7", "ZeroDivisionError: division by zero", None),
        ("\n{{ 1 | quot }}", "T.j2:7", "No filter named 'quot'.", "did you mean `quote`?"),
        ("\n{{ 1 is evn }}", "T.j2:7", "No test named 'evn'.", "did you mean `even`?"),
        ("\n{{ 1 +* 2 }}", "T.j2:7", "unexpected '*'", None),
        ("{{ render_error('not here') }}", "T.j2:6", "not here", None),
        ("{{ '\\0' }}", "T.j2", "ValueError: the script holds a NUL, which no shell can read", None),
        ("{{ '\\ud800' }}", "T.j2", "UnicodeEncodeError: ", None),
        ("{{ pw }}", "T.j2:6", "the variable `pw` is a secret and not available in templates", None),
        ("{{ 'x' | b64decode }}", "T.j2:6", "this is not the base64 of a text", None),
    ],
)
def test_an_error_names_line_cause_and_fix(shared, body, place, message, hint):
    with pytest.raises(TemplateError) as caught:
        shared.render(template(body), {}, WEB1)
    (found,) = caught.value.problems
    assert found.message.startswith(f"template `T`: {message}")
    assert (str(found.place), found.rule) == (place, "render")
    assert hint is None or found.hint == hint


def test_an_error_never_shows_a_secret_value():
    inputs = "{name: a}, {name: b, hidden_value: true}"
    found = problem("{{ {}[input('a')] }}", inputs, a=Secret("hunter2"))
    assert found.message == "template `T`: `***` is not defined there"
    assert problem("{{ render_error(input('b')) }}", inputs, b="hunter2").message == "template `T`: ***"


def test_a_variable_that_is_no_plain_data_is_refused():
    host = Host(name="h", id=1, vars={"a": [{"b": object()}]})
    assert (
        problem("{{ 1 }}", host=host).message
        == "template `T`: `host.vars.a[0].b` is a object, not plain data"
    )


def test_a_host_that_does_not_render_leaves_the_others_alone():
    hosts = [Host(name=f"h{n}", id=n, vars={} if n == 250 else {"v": n}) for n in range(500)]
    found = template("echo {{ v }}")
    with Renderer(Templates([found]), hosts) as renderer:
        results = renderer.render_all(found, {}, hosts)
    assert [n for n, result in enumerate(results) if isinstance(result, Problem)] == [250]
    assert results[499] == "echo 499"


def test_a_script_in_place_may_be_called_what_the_template_is_that_it_names():
    outer, inner = template("<{{ render_template('T') }}>"), template("inner")
    with Renderer(Templates([inner])) as renderer:
        assert renderer.render(outer, {}, WEB1) == "<inner>"


# limits


BOMBS = [
    ("memory", "{{ 'x' * 10**10 }}"),
    ("memory while compiling", "{{ ('x' * 10**9) ~ ('y' * 10**9) }}"),
    ("memory by replacing", "{{ ('x' * 10**6).replace('x', 'y' * 10**6) }}"),
    ("memory by padding", "{{ '%010000000000d' % 1 }}"),
    ("processor", "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"),
    ("processor while compiling", "{{ 7 ** (7 ** 10) % 3 }}"),
    ("output", "{% for a in range(99999) %}{{ 'xxxxxxxxxxxx' }}{% endfor %}"),
    (
        "processor and memory together",
        "{% for a in range(99999) %}{% set b = ('a' * 10**7).split('a') | join('b') %}{% endfor %}",
    ),
]


@pytest.mark.parametrize("body", [pytest.param(body, id=name) for name, body in BOMBS])
def test_a_bomb_ends_at_a_limit_and_the_next_render_works(body):
    bomb, harmless = template(body, name="Bomb"), template("still {{ port }}", name="Harmless")
    with Renderer(Templates([bomb, harmless]), limits=RenderLimits(cpu_s=1)) as renderer:
        with pytest.raises(TemplateError) as caught:
            renderer.render(bomb, {}, WEB1)
        assert caught.value.problems[0].rule == "render-limit"
        assert renderer.render(harmless, {}, WEB1) == "still 22"


def test_a_bomb_on_one_host_leaves_the_hosts_before_and_after_it_alone():
    hosts = [Host(name=f"h{n}", id=n, vars={"times": 10**10 if n == 2 else 1}) for n in range(5)]
    found = template("{{ 'x' * times }}")
    with Renderer(Templates([found])) as renderer:
        results = renderer.render_all(found, {}, hosts)
    assert [result.rule if isinstance(result, Problem) else result for result in results] == [
        "x",
        "x",
        "render-limit",
        "x",
        "x",
    ]


def test_a_worker_that_is_killed_costs_one_render(shared):
    found = template("{{ 'ok' }}")
    with Renderer(Templates([found])) as renderer:
        renderer.render(found, {}, WEB1)
        renderer._worker._process.kill()
        with pytest.raises(TemplateError, match="ended the worker process with signal 9"):
            renderer.render(found, {}, WEB1)
        assert renderer.render(found, {}, WEB1) == "ok"


def test_many_bombs_end_together():
    hosts = [Host(name=f"h{n}", id=n) for n in range(50)]
    found = template("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}")
    with Renderer(Templates([found]), limits=RenderLimits(total_s=0.5)) as renderer:
        results = renderer.render_all(found, {}, hosts)
    assert all(isinstance(result, Problem) and result.rule == "render-limit" for result in results)


def test_a_template_nested_beyond_measure_is_refused_without_harm(shared):
    nested = ("(" * 50_000 + ")" * 50_000, "+".join("1" * 20_000), "[" * 5_000, "x" + ".x" * 20_000)
    for body in (*(f"{{{{ {each} }}}}" for each in nested), "{% if 1 %}" * 3_000 + "{% endif %}" * 3_000):
        with pytest.raises(TemplateError):
            shared.render(template(body), {}, WEB1)
        assert lint(template(body), Templates([]))
    assert shared.render(template("ok"), {}, WEB1) == "ok"


def test_the_worker_sees_nothing_of_the_environment(monkeypatch):
    monkeypatch.setenv("SUDO_PASSWORD", "hunter2")
    found = template("{{ 'x' }}")
    with Renderer(Templates([found])) as renderer:
        renderer.render(found, {}, WEB1)
        process = renderer._worker._process
        assert b"hunter2" not in Path(f"/proc/{process.pid}/environ").read_bytes()
        limits = Path(f"/proc/{process.pid}/limits").read_text()
    assert [line.split()[4] for line in limits.splitlines() if line.startswith("Max core file size")] == ["0"]
    assert process.poll() is not None


# the sandbox


ESCAPES = yaml.safe_load((CASES / "escapes.yml").read_text())


@pytest.mark.parametrize("case", ESCAPES, ids=[case.get("cve", case["template"]) for case in ESCAPES])
def test_no_payload_leaves_the_sandbox(shared, tmp_path, case):
    canary = tmp_path / "canary"
    with pytest.raises(TemplateError) as caught:
        shared.render(template(case["template"].replace("CANARY", str(canary))), {}, WEB1)
    assert not canary.exists()
    assert "hunter2" not in str(caught.value)
    assert caught.value.problems[0].rule == "render"


def test_the_canary_would_be_made_without_the_sandbox(tmp_path):
    canary = tmp_path / "canary"
    payload = next(case["template"] for case in ESCAPES if "lipsum" in case["template"])
    jinja2.Environment(autoescape=True).from_string(payload.replace("CANARY", str(canary))).render()
    assert canary.exists()


# hosts that a template cannot tell apart


def _alike(number: int, **more: object) -> Host:
    return Host(name=f"h{number}.example.com", id=number, groups=("web",), vars={"port": 22, **more})


KINDS = [
    *(_alike(n) for n in range(3)),
    *(_alike(n, port=value) for n, value in enumerate((1, True, "1", 1.0, None, [1], {"a": 1}, {1: 1}), 3)),
    *(
        _alike(n, facts={"os": {"name": name}, "n": n})
        for n, name in enumerate(("Debian", "Debian", "X"), 11)
    ),
    *(_alike(n, pw=Secret(f"hunter{n}")) for n in (14, 15)),
    _alike(16, range="own", facts="none", input="own", host="own"),
    Host(name="bare", id=17, groups=("db", "eu")),
]
TELLING = [
    "{{ inventory_hostname }} {{ group_names }}",
    "{{ port }}{{ port is defined }}",
    "{{ port | default('none') | to_json }}",
    "{% set p = port %}{{ p is number }}{{ p is boolean }}",
    "{{ host.name }}{{ host.id }}{{ host['groups'] }}",
    "{{ host.facts.os.name | default('?') }}",
    "{{ host.facts.get('n') }}{{ host.facts.items() | list | length }}",
    "{% set h = host %}{{ h.vars.port is defined }}",
    "{{ host_param('port', 'none') }}",
    "{{ host_param('po' ~ 'rt', 'none') }}",
    "{% for name in ['port', 'input'] %}{{ host_param(name, 'none') }}{% endfor %}",
    "{{ hostvars[inventory_hostname].port is defined }}{{ groups.web | length }}",
    "{% if pw is defined %}a secret{% endif %}",
    "{{ pw | default('no secret') }}",
    "{{ input('os') }}{{ inputs.own }}",
    "{{ snippet('S') }}",
    "{{ snippet('S' ~ '') }}",
    "{% include 'S' %}",
    "{% from 'M' import m with context %}{{ m() }}",
    "{{ render_template('R', {'given': 'x'}) }}",
    "{% macro m(x=port) %}{{ x }}{% endmacro %}{{ m() }}",
    "{{ range is string }}",
    "{{ [host] | map(attribute='id') | list }}",
    "{{ nope }}",
    "{% if port == 22 %}x{% else %}{{ portt }}{% endif %}",
    "{{ 'broken",
    "same everywhere",
]
LIBRARY = [
    read_template("{{ host.facts.n | default('?') }}{{ input('os') }}", "_S.j2"),
    read_template("{% macro m() %}{{ host.id }}{% endmacro %}", "_M.j2"),
    template("{{ input('given') }}{{ input('seen') }}", "{name: given}, {name: seen, input_type: variable, "
             "variable_name: port}", name="R"),
]  # fmt: skip


@pytest.mark.parametrize("body", TELLING)
def test_hosts_rendered_together_get_what_each_gets_alone(body):
    own = "{name: own, input_type: variable, variable_name: input}"
    inputs = f"{{name: os, input_type: fact, fact_name: os.name}}, {own}"
    found = template(body, inputs)
    with Renderer(Templates([*LIBRARY, found]), KINDS) as together, \
         Renderer(Templates([*LIBRARY, found]), KINDS) as alone:  # fmt: skip
        assert together.render_all(found, {}, KINDS, preview=True) == [
            each for host in KINDS for each in alone.render_all(found, {}, [host], preview=True)
        ]


@pytest.mark.parametrize(("preview", "renders"), [(True, 3), (False, 100)])
def test_hosts_that_are_alike_to_a_template_are_rendered_once_in_a_preview_alone(preview, renders):
    hosts = [_alike(n, port=n % 3) for n in range(100)]
    found = template("listen {{ port }}")
    with Renderer(Templates([found]), hosts) as renderer:
        results = renderer.render_all(found, {}, hosts, preview=preview)
        assert renders <= renderer._renders <= renders + 1  # the template was sent, too
    assert results == [f"listen {n % 3}" for n in range(100)]


# speed


def test_ten_thousand_hosts_render_in_one_worker():
    variables = {f"variable_{n}": "x" * 20 for n in range(30)}
    hosts = [Host(name=f"h{n}", id=n, vars={**variables, "n": n}) for n in range(10_000)]
    found = template("echo {{ inventory_hostname | quote }} {{ n }} {{ input('a') | quote }}\n", "{name: a}")
    with Renderer(Templates([found]), hosts) as renderer:
        results = renderer.render_all(found, {"a": "b c"}, hosts)
    assert results[9_999] == "echo h9999 9999 'b c'\n"


# quoting


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_a_quoted_input_reaches_a_real_shell_unchanged(shared, shell):
    if shutil.which(shell[0]) is None:
        pytest.skip(f"{shell[0]} is not installed")
    rng = random.Random(20261123)
    alphabet = string.printable + "äß€\U0001f600\x01\x1b\x7f\u2028" + "'\"\\$`!*?[]{}~#&;|<>()" * 3
    words = ["", "-n", "-e", "%s", "\n", "a\n", "'", "\\", "!!", "~", "{a,b}", "$(id)", "\r\n"]
    words += ["".join(rng.choices(alphabet, k=rng.randint(1, 30))) for _ in range(1000)]
    host = Host(name="h", id=1, vars={"words": words})
    script = shared.render(
        template("{% for x in words %}printf '%s\\0' {{ x | quote }}\n{% endfor %}"), {}, host
    )
    ran = subprocess.run([*shell, "-s"], input=script.encode(), capture_output=True, timeout=60, check=True)
    assert ran.stdout.split(b"\0")[:-1] == [word.encode() for word in words]


# lint


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("echo {{ input('a') | quote }}", []),
        ("{{ input('a') }}", []),
        ("echo {{ input('a') }}", ["T.j2:6 warning input `a` reaches the shell unquoted"]),
        ("echo {{ inputs.a | upper }}", ["T.j2:6 warning input `a` reaches the shell unquoted"]),
        ("x\necho \"{{ inputs['a'] ~ 'x' }}\"", ["T.j2:7 warning input `a` reaches the shell unquoted"]),
        ("echo {{ (input('a') ~ 'x') | quote }} {{ input('a') | int }} {{ input('a') == 'x' }}", []),
        ("echo {{ 'y' if input('a') else 'n' }} {{ input('a').split() | map('quote') | join(' ') }}", []),
        ("#!/usr/bin/python3\nprint({{ input('a') }})", []),
        (
            "#!/usr/bin/env bash\necho {{ input('a') }}",
            ["T.j2:7 warning input `a` reaches the shell unquoted"],
        ),
        ("echo", ["T.j2:4:26 warning input `a` is never used"]),
        ("{{ snippet('x') }}", []),
        ("{{ input(x) | quote }}", []),
        ("{{ input('a') | quote }}\n{{ input('b') | quote }}", ["T.j2:7 error there is no input `b`"]),
        ("{{ input('a') | qoute }}", ["T.j2:6 error there is no filter `qoute`"]),
        ("\n{% if input('a') %}", ["T.j2:7 error Unexpected end of template."]),
    ],
)
def test_lint_tells_what_is_suspicious(body, told):
    found = lint(template(body, "{name: a}"), Templates([]))
    shown = [f"{each.place} {each.severity} {each.message}" for each in found]
    assert len(shown) == len(told)
    assert all(each.startswith(expected) for each, expected in zip(shown, told, strict=True))


def test_lint_compiles_nothing():
    assert lint(template("{{ 'x' * 10**10 }}{{ 7 ** 7 ** 12 }}"), Templates([])) == []
