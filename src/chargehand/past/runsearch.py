"""Search over runs: a query of the search language as one condition of SQL.

It selects exactly what the predicate over `run_fields` selects: a missing value meets no comparison, texts
are equal to the letter, ``~`` ignores case as `str.casefold` does, dates mean spans. What cannot be said so
is refused. No condition here is ever NULL, so that ``not`` is the complement in SQL as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime, tzinfo
from functools import cache
from typing import Final

from chargehand.frozen import frozen
from chargehand.past.columns import microseconds_of
from chargehand.past.reading import Clause, Dialect
from chargehand.past.values import RunSearch
from chargehand.search import Fault, Query, QueryError, compile_with
from chargehand.search.compare import pieces_of
from chargehand.search.dates import Span
from chargehand.search.match import Compiler, Question
from chargehand.search.runfields import HOST_STATUSES, Run, run_fields
from chargehand.search.tree import Condition, Group, Node, Not, conditions

MAX_CONDITIONS: Final = 500
MAX_VALUES: Final = 20_000
MAX_LEVELS: Final = 20
MAX_PATTERN: Final = 2_000
"""Bounds of what both databases take: SQLite bounds the depth of an expression, variables and patterns."""

_TRUE: Final = "1 = 1"
_FALSE: Final = "1 = 0"
_SHARES: Final = "template_invocation"
_EXISTS: Final = "EXISTS (SELECT 1 FROM "
_LARGEST: Final = 2**63 - 1
_LABELS: Final = ("queued", "running", "succeeded", "failed", "cancelled")


def search_runs(
    query: str, *, caller: str, now: datetime, dialect: Dialect, time_zone: tzinfo = UTC
) -> RunSearch:
    """Read a query over runs; the empty one means all.

    Args:
        query: In the search language.
        caller: Login name that ``current_user`` means.
        now: What ``today`` and ``"2 hours ago"`` are counted from, aware.
        dialect: Of the database: ``sqlite`` or ``postgresql``.
        time_zone: Of dates and times without an offset.

    Raises:
        QueryError: It is not understood, or too large for a database.
    """
    fields = run_fields(caller)
    search = compile_with(fields, query, now=now, time_zone=time_zone)
    source = Query(query)
    _check_size(source, search.root)
    translation = _Translation(Compiler(fields, source, now, time_zone), dialect)
    sql = translation.clause(search.root)
    return RunSearch(Clause(sql=sql, values=translation.values), search.warnings)


@frozen(kw_only=False)
class _Related:
    """Values that rows beside the run have.

    Attributes:
        table: Of these rows.
        value: The column that holds the values.
        key: Which run such a row belongs to.
        owner: The column of the run that `key` equals.
        only: Which of these rows count.
    """

    table: str
    value: str
    key: str
    owner: str
    only: str = ""


def _of_shares(column: str, only: str = "") -> _Related:
    key = f"{_SHARES}.job_invocation_id"
    return _Related(_SHARES, f"{_SHARES}.{column}", key, "job_invocation.id", only)


_COLUMNS: Final = {
    "id": "job_invocation.id",
    "job_category": "job_invocation.job_category",
    "description": "job_invocation.description",
    "job": "job_invocation.job_name",
    "template": "job_invocation.template_name",
    "pattern_template_name": "job_invocation.template_name",
    "playbook": "job_invocation.playbook",
    "user": 'job_invocation."user"',
    "owner": 'job_invocation."user"',
    "trigger": 'job_invocation."trigger"',
    "commit": 'job_invocation."commit"',
    "dirty": "job_invocation.dirty",
    "code": "job_invocation.code",
    "exit_code": "job_invocation.exit_code",
    "start_at": "job_invocation.start_at",
    "started_at": "job_invocation.started_at",
    "ended_at": "job_invocation.ended_at",
    "rerun_of": "job_invocation.rerun_of",
    "recurring": "(job_invocation.recurring_logic_id IS NOT NULL)",
    "recurring_logic.id": "job_invocation.recurring_logic_id",
}
_RELATED: Final[Mapping[str, _Related]] = {
    "host": _of_shares("host_name"),
    "targeted_host_id": _of_shares("host_id"),
    "host_status": _of_shares("status"),
    "recurring_logic.purpose": _Related(
        "recurring_logic",
        "recurring_logic.purpose",
        "recurring_logic.id",
        "job_invocation.recurring_logic_id",
        "recurring_logic.purpose != ''",
    ),
    **{
        f"host_status.{status}": _of_shares("host_name", f"{_SHARES}.status = '{status}'")
        for status in HOST_STATUSES
    },
}
_KNOWN_HOSTS: Final = f"""WITH RECURSIVE known_host(host_name) AS (
    SELECT min(host_name) FROM {_SHARES}
    UNION ALL
    SELECT (SELECT min({_SHARES}.host_name) FROM {_SHARES} WHERE {_SHARES}.host_name > known_host.host_name)
    FROM known_host WHERE known_host.host_name IS NOT NULL
) SELECT known_host.host_name FROM known_host WHERE known_host.host_name IS NOT NULL AND """  # noqa: S608
"""The names of all hosts of all runs, by hopping along their index from one to the next."""


@frozen(kw_only=False)
class _Translation:
    """Writes the parts of a query as SQL, and keeps their values apart from it.

    Attributes:
        compiler: What a condition asks.
        dialect: Of the database.
        values: Those that the SQL names, each once.
    """

    compiler: Compiler[Run]
    dialect: Dialect
    values: dict[str, object] = field(default_factory=dict)
    _names: dict[object, str] = field(default_factory=dict)

    def clause(self, node: Node, *, negated: bool = False) -> str:
        """A tree, of a depth that was checked; ``not`` goes down to the conditions."""
        while isinstance(node, Not):
            node, negated = node.child, not negated
        if isinstance(node, Condition):
            return self.condition(node, negated=negated)
        clauses = [self.clause(child, negated=negated) for child in node.children]
        return _all_of(clauses) if (node.operator == "and") is not negated else self.any_of(clauses)

    def condition(self, condition: Condition, *, negated: bool) -> str:
        """One condition; a status has so few values that each is asked."""
        questions = self.compiler.questions(condition)
        if any(question.field.name == "status" for question in questions):
            holds = self.compiler.predicate(condition)
            met = [
                label for label in _LABELS if holds(Run(id=0, description="", status=label)) is not negated
            ]
            return self.is_in("job_invocation.status_label", met)
        self.check_texts(condition)
        clauses = [self.question(question, negated=negated) for question in questions]
        return _all_of(clauses) if negated else self.any_of(clauses)

    def any_of(self, clauses: Sequence[str]) -> str:
        """Whether any of some clauses holds.

        PostgreSQL joins rows beside a run only where that is no alternative to something else, and looks for
        them run by run where it is; so it is given the union of those that meet an alternative each.
        """
        elsewhere = [clause for clause in clauses if self.dialect == "postgresql" and _EXISTS in clause]
        if not elsewhere or len(clauses) == 1:
            return _any_of(clauses)
        here = _any_of([clause for clause in clauses if _EXISTS not in clause])
        found = " UNION ALL ".join(
            f"SELECT job_invocation.id FROM job_invocation WHERE {each}"  # noqa: S608 - values have names
            for each in (here, *elsewhere)
        )
        return f"{_EXISTS}({found}) AS chosen WHERE chosen.id = job_invocation.id)"

    def question(self, question: Question[Run], *, negated: bool) -> str:
        name, kind = question.field.name, question.field.kind
        if name in _RELATED:
            return self.about_related(_RELATED[name], question, negated=negated)
        column = _COLUMNS[name]
        clause = f"{column} IS NOT NULL" + (f" AND {column} != ''" if kind == "text" else "")
        if question.operator == "null":
            negated = not negated
        elif question.operator != "notnull":
            compared = self.comparison(column, question)
            clause += f" AND {_not(compared) if question.negative else compared}"
        return _not(clause) if negated else clause

    def about_related(self, related: _Related, question: Question[Run], *, negated: bool) -> str:
        """Whether any row has such a value; negative: whether there are rows and none has."""
        if question.operator in ("notnull", "null"):
            wanted = (question.operator == "notnull") is not negated
            return self.having(related) if wanted else _not(self.having(related))
        if related is _RELATED["host"] and question.operator not in ("eq", "in"):
            names = _KNOWN_HOSTS + self.comparison("known_host.host_name", question)
            having = self.having(related, self.is_one_of(related.value, names))
        else:
            having = self.having(related, self.comparison(related.value, question))
        if not question.negative:
            return _not(having) if negated else having
        if negated:
            return self.any_of([_not(self.having(related)), having])
        return _all_of([self.having(related), _not(having)])

    def is_one_of(self, column: str, names: str) -> str:
        """Whether it is one of the names that a query finds.

        PostgreSQL takes a recursive query for a short one, and joins it in the worst of orders; an array is
        made once, before anything is joined.
        """
        return f"{column} IN ({names})" if self.dialect == "sqlite" else f"{column} = ANY (ARRAY({names}))"

    def having(self, related: _Related, condition: str = "") -> str:
        """Whether a run has rows that meet a condition.

        SQLite looks for them once, for all runs; PostgreSQL is left to choose.
        """
        wanted = [each for each in (related.only, condition) if each]
        if self.dialect == "sqlite" and wanted:
            rows = f"SELECT {related.key} FROM {related.table} WHERE {_all_of(wanted)}"  # noqa: S608 - values have names
            return f"{related.owner} IS NOT NULL AND {related.owner} IN ({rows})"
        return f"{_EXISTS}{related.table} WHERE {_all_of([f'{related.key} = {related.owner}', *wanted])})"

    def comparison(self, column: str, question: Question[Run]) -> str:
        """A positive comparison of a value that is there."""
        kind, operator, literals = question.field.kind, question.operator, question.literals
        if kind == "boolean":
            wanted = {each.boolean for each in literals}
            return _any_of([f"{column} IS {'TRUE' if each else 'FALSE'}" for each in wanted])
        if kind == "date":
            spans = [each.span for each in literals if each.span is not None]
            return _any_of([self.in_time(column, operator, span) for span in spans])
        if kind == "integer":
            numbers = [int(each.number) for each in literals if each.number is not None]
            return self.number(column, operator, numbers)
        return self.text(column, operator, [each.text for each in literals])

    def number(self, column: str, operator: str, numbers: Sequence[int]) -> str:
        """Numbers that no column can hold are decided here."""
        if operator in ("eq", "in"):
            return self.is_in(column, [number for number in numbers if abs(number) <= _LARGEST])
        number = numbers[0]
        if abs(number) <= _LARGEST:
            return f"{column} {_ORDERED[operator]} {self.named(number)}"
        return _TRUE if (number > 0) == (operator in ("lt", "lte")) else _FALSE

    def in_time(self, column: str, operator: str, span: Span) -> str:
        """As `Span.holds` has it."""
        start_at, end_at = (self.named(microseconds_of(at)) for at in (span.start_at, span.end_at))
        if operator in ("eq", "in"):
            return f"{column} >= {start_at} AND {column} < {end_at}"
        if operator == "gt" and span.whole_days:
            return f"{column} >= {end_at}"
        if operator == "lte" and span.whole_days:
            return f"{column} < {end_at}"
        return f"{column} {_ORDERED[operator]} {start_at}"

    def text(self, column: str, operator: str, texts: Sequence[str]) -> str:
        if operator in ("eq", "in"):
            return self.is_in(column, texts)
        if operator == "like":
            return self.like(column, texts[0])
        collation = '"C"' if self.dialect == "postgresql" else "BINARY"
        return f"{column} COLLATE {collation} {_ORDERED[operator]} {self.named(texts[0])}"

    def like(self, column: str, pattern: str) -> str:
        pieces = pieces_of(pattern.casefold())
        escaped = [piece.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_") for piece in pieces]
        wanted = "%".join(escaped) if len(escaped) > 1 else f"%{escaped[0]}%"
        like = f"LIKE {self.named(wanted)} ESCAPE '\\'"
        if self.dialect == "sqlite":  # whose LIKE ignores the case of ASCII; Python knows of the rest
            foreign = f"length({column}) < length(CAST({column} AS BLOB))"
            return f"({column} {like} OR ({foreign} AND casefold({column}) {like}))"
        plain = f"octet_length({column}) = char_length({column})"
        folded = _folded(column, frozenset("".join(pieces)))
        return f'CASE WHEN {plain} THEN lower({column} COLLATE "C") ELSE {folded} END {like}'

    def is_in(self, column: str, values: Sequence[object]) -> str:
        return f"{column} IN ({', '.join(map(self.named, values))})" if values else _FALSE

    def named(self, value: object) -> str:
        """The name of a value in the SQL."""
        name = self._names.setdefault(value, f"v{len(self._names)}")
        self.values[name] = value
        return f":{name}"

    def check_texts(self, condition: Condition) -> None:
        """Refuse what no text of a database can hold, or no pattern."""
        for word in condition.values:
            impossible = next(
                (char for char in word.text if char == "\0" or "\ud800" <= char <= "\udfff"), None
            )
            if impossible is not None:
                fault = Fault(f"no run holds the character U+{ord(impossible):04X}", word.start, word.end)
                raise QueryError(self.compiler.query, [fault])
            if len(word.text) > MAX_PATTERN and condition.operator in ("like", "unlike", "text"):
                message = f"a part of a text may be {MAX_PATTERN} characters long, this is {len(word.text)}"
                raise QueryError(self.compiler.query, [Fault(message, word.start, word.end)])


_ORDERED: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def _not(clause: str) -> str:
    return f"NOT ({clause})"


def _all_of(clauses: Sequence[str]) -> str:
    """No brackets: they nest as deep as a query does, and SQLite reads few that are open at once."""
    return " AND ".join(clauses) if clauses else _TRUE


def _any_of(clauses: Sequence[str]) -> str:
    if len(clauses) == 1:
        return clauses[0]
    return f"({' OR '.join(clauses)})" if clauses else _FALSE


def _folded(column: str, letters: frozenset[str]) -> str:
    """A text with every letter folded whose folding holds one of `letters`, for PostgreSQL.

    What is left as it is cannot be in a pattern, which is folded.
    """
    for letter, folding in _foldings():
        if letters.intersection(folding):
            column = f"replace({column}, '{letter}', '{folding}')"
    return column


@cache
def _foldings() -> tuple[tuple[str, str], ...]:
    """Every letter that folds to something else, with that; beyond these planes there is none."""
    letters = (chr(code) for code in range(0x1F000) if not 0xD800 <= code <= 0xDFFF)
    return tuple((letter, letter.casefold()) for letter in letters if letter != letter.casefold())


def _check_size(source: Query, root: Node) -> None:
    asked = list(conditions(root))
    values = 0
    for number, condition in enumerate(asked, 1):
        values += len(condition.values)
        if number > MAX_CONDITIONS or values > MAX_VALUES:
            bound = f"{MAX_CONDITIONS} conditions with {MAX_VALUES} values"
            message = f"a query over runs may have at most {bound}"
            raise QueryError(source, [Fault(message, condition.start, condition.end)])
    waiting: list[tuple[Node, int]] = [(root, 0)]
    while waiting:
        node, level = waiting.pop()
        if isinstance(node, Not):
            waiting.append((node.child, level))
        elif isinstance(node, Group):
            waiting.extend((child, level + 1) for child in node.children)
        elif level > MAX_LEVELS:
            message = f"`and` and `or` are nested {level} times here; a query over runs takes {MAX_LEVELS}"
            raise QueryError(
                source, [Fault(message, node.start, node.end, "write it with fewer parentheses")]
            )
