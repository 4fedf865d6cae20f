"""Search over runs: a query of the search language as one condition of SQL.

It selects exactly what the predicate over `run_fields` selects: a missing value meets no comparison, texts
are equal to the letter, ``~`` ignores case as `str.casefold` does, dates mean spans. What cannot be said so
is refused. No condition here is ever NULL, so that ``not`` is the complement in SQL as well.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cache
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    CTE,
    BigInteger,
    Column,
    ColumnElement,
    Exists,
    LargeBinary,
    Select,
    and_,
    any_,
    case,
    cast,
    false,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    true,
    type_coerce,
    union_all,
)
from sqlalchemy.sql.visitors import iterate

from chargehand.errors import Problem
from chargehand.search import Fault, Query, QueryError, compile_with
from chargehand.search.compare import pieces_of
from chargehand.search.dates import Span
from chargehand.search.match import Compiler, Question
from chargehand.search.runfields import HOST_STATUSES, Run, run_fields
from chargehand.search.tree import Condition, Group, Node, Not, conditions
from chargehand.store.tables import job_invocation, recurring_logic, template_invocation

MAX_CONDITIONS: Final = 500
MAX_VALUES: Final = 20_000
MAX_LEVELS: Final = 20
MAX_PATTERN: Final = 2_000
"""Bounds of what both databases take: SQLite bounds the depth of an expression, variables and patterns."""

Clause: TypeAlias = ColumnElement[bool]

_LARGEST: Final = 2**63 - 1
_LABELS: Final = ("queued", "running", "succeeded", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class RunSearch:
    """A query over runs that was understood.

    Attributes:
        clause: What a row of `job_invocation` must meet; true or false, never NULL.
        warnings: What its author may have meant otherwise.
    """

    clause: Clause
    warnings: tuple[Problem, ...]

    def beyond(self, invocation_id: int, *, oldest_first: bool) -> Clause:
        """The same, of invocations that come after that one in a list."""
        number = job_invocation.c.id
        return and_(number > invocation_id if oldest_first else number < invocation_id, self.clause)


def search_runs(
    query: str, *, caller: str, now: datetime, dialect: str, time_zone: tzinfo = UTC
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
    return RunSearch(translation.clause(search.root), search.warnings)


@dataclass(frozen=True, slots=True)
class _Related:
    """Values that rows beside the run have.

    Attributes:
        value: The column that holds them.
        key: Which run such a row belongs to.
        owner: The column of the run that `key` equals.
        only: Which of these rows count.
    """

    value: Column[Any]
    key: Column[Any]
    owner: Column[Any]
    only: Clause | None = None


def _of_shares(value: Column[Any], only: Clause | None = None) -> _Related:
    return _Related(value, template_invocation.c.job_invocation_id, job_invocation.c.id, only)


_COLUMNS: Final[dict[str, ColumnElement[Any]]] = {
    "id": job_invocation.c.id,
    "job_category": job_invocation.c.job_category,
    "description": job_invocation.c.description,
    "job": job_invocation.c.job_name,
    "template": job_invocation.c.template_name,
    "pattern_template_name": job_invocation.c.template_name,
    "playbook": job_invocation.c.playbook,
    "user": job_invocation.c.user,
    "owner": job_invocation.c.user,
    "trigger": job_invocation.c.trigger,
    "commit": job_invocation.c.commit,
    "dirty": job_invocation.c.dirty,
    "code": job_invocation.c.code,
    "exit_code": job_invocation.c.exit_code,
    "start_at": job_invocation.c.start_at,
    "started_at": job_invocation.c.started_at,
    "ended_at": job_invocation.c.ended_at,
    "rerun_of": job_invocation.c.rerun_of,
    "recurring": job_invocation.c.recurring_logic_id.is_not(None),
    "recurring_logic.id": job_invocation.c.recurring_logic_id,
}
_RELATED: Final[dict[str, _Related]] = {
    "host": _of_shares(template_invocation.c.host_name),
    "targeted_host_id": _of_shares(template_invocation.c.host_id),
    "host_status": _of_shares(template_invocation.c.status),
    "recurring_logic.purpose": _Related(
        recurring_logic.c.purpose,
        recurring_logic.c.id,
        job_invocation.c.recurring_logic_id,
        recurring_logic.c.purpose != "",
    ),
    **{
        f"host_status.{status}": _of_shares(
            template_invocation.c.host_name, template_invocation.c.status == status
        )
        for status in HOST_STATUSES
    },
}


def _known_hosts() -> CTE:
    """The names of all hosts of all runs, by hopping along their index from one to the next."""
    name = template_invocation.c.host_name
    known = select(func.min(name).label("host_name")).cte("known_host", recursive=True)
    following = select(func.min(name)).where(name > known.c.host_name).scalar_subquery()
    return known.union_all(select(following).where(known.c.host_name.is_not(None)))


_KNOWN_HOSTS: Final = _known_hosts()


@dataclass(frozen=True, slots=True)
class _Translation:
    compiler: Compiler[Run]
    dialect: str

    def clause(self, node: Node, *, negated: bool = False) -> Clause:
        """A tree, of a depth that was checked; ``not`` goes down to the conditions."""
        while isinstance(node, Not):
            node, negated = node.child, not negated
        if isinstance(node, Condition):
            return self.condition(node, negated=negated)
        clauses = [self.clause(child, negated=negated) for child in node.children]
        return and_(true(), *clauses) if (node.operator == "and") is not negated else self.any_of(clauses)

    def condition(self, condition: Condition, *, negated: bool) -> Clause:
        """One condition; a status has so few values that each is asked."""
        questions = self.compiler.questions(condition)
        if any(question.field.name == "status" for question in questions):
            holds = self.compiler.predicate(condition)
            met = [
                label for label in _LABELS if holds(Run(id=0, description="", status=label)) is not negated
            ]
            return job_invocation.c.status_label.in_(met)
        self.check_texts(condition)
        clauses = [self.question(question, negated=negated) for question in questions]
        return and_(true(), *clauses) if negated else self.any_of(clauses)

    def any_of(self, clauses: Sequence[Clause]) -> Clause:
        """Whether any of some clauses holds.

        PostgreSQL joins rows beside a run only where that is no alternative to something else, and looks for
        them run by run where it is; so it is given the union of those that meet an alternative each.
        """
        elsewhere = [
            clause for clause in clauses if self.dialect == "postgresql" and _looks_elsewhere(clause)
        ]
        if not elsewhere or len(clauses) == 1:
            return or_(false(), *clauses)
        here = or_(false(), *(clause for clause in clauses if not _looks_elsewhere(clause)))
        found = (select(job_invocation.c.id).where(each).correlate(None) for each in (here, *elsewhere))
        chosen = union_all(*found).subquery()
        return select(literal(1)).where(chosen.c.id == job_invocation.c.id).exists()

    def question(self, question: Question[Run], *, negated: bool) -> Clause:
        name, kind = question.field.name, question.field.kind
        if name in _RELATED:
            return self.about_related(_RELATED[name], question, negated=negated)
        column = _COLUMNS[name]
        clause = and_(column.is_not(None), column != "") if kind == "text" else column.is_not(None)
        if question.operator == "null":
            negated = not negated
        elif question.operator != "notnull":
            compared = self.comparison(column, question)
            clause = and_(clause, not_(compared) if question.negative else compared)
        return not_(clause) if negated else clause

    def about_related(self, related: _Related, question: Question[Run], *, negated: bool) -> Clause:
        """Whether any row has such a value; negative: whether there are rows and none has."""
        if question.operator in ("notnull", "null"):
            wanted = (question.operator == "notnull") is not negated
            return self.having(related) if wanted else not_(self.having(related))
        if related is _RELATED["host"] and question.operator not in ("eq", "in"):
            known = _KNOWN_HOSTS.c.host_name
            names = select(known).where(known.is_not(None), self.comparison(known, question))
            having = self.having(related, self.is_one_of(related.value, names))
        else:
            having = self.having(related, self.comparison(related.value, question))
        if not question.negative:
            return not_(having) if negated else having
        if negated:
            return self.any_of([not_(self.having(related)), having])
        return and_(self.having(related), not_(having))

    def is_one_of(self, column: Column[Any], names: Select[tuple[Any]]) -> Clause:
        """Whether it is one of the names that a query finds.

        PostgreSQL takes a recursive query for a short one, and joins it in the worst of orders; an array is
        made once, before anything is joined.
        """
        if self.dialect == "sqlite":
            return column.in_(names)
        return column == any_(func.array(names.scalar_subquery()))

    def having(self, related: _Related, condition: Clause | None = None) -> Clause:
        """Whether a run has rows that meet a condition.

        SQLite looks for them once, for all runs; PostgreSQL is left to choose.
        """
        wanted = [each for each in (related.only, condition) if each is not None]
        if self.dialect == "sqlite" and wanted:
            return and_(related.owner.is_not(None), related.owner.in_(select(related.key).where(*wanted)))
        return select(literal(1)).where(related.key == related.owner, *wanted).exists()

    def comparison(self, column: ColumnElement[Any], question: Question[Run]) -> Clause:
        """A positive comparison of a value that is there."""
        kind, operator, literals = question.field.kind, question.operator, question.literals
        if kind == "boolean":
            wanted = {each.boolean for each in literals}
            return or_(false(), *(column.is_(True) if each else column.is_(False) for each in wanted))
        if kind == "date":
            spans = [each.span for each in literals if each.span is not None]
            return or_(false(), *(_in_time(column, operator, span) for span in spans))
        if kind == "integer":
            numbers = [int(each.number) for each in literals if each.number is not None]
            return _number(type_coerce(column, BigInteger), operator, numbers)
        return self.text(column, operator, [each.text for each in literals])

    def text(self, column: ColumnElement[Any], operator: str, texts: Sequence[str]) -> Clause:
        if operator in ("eq", "in"):
            return column.in_(texts)
        if operator == "like":
            return self.like(column, texts[0])
        ordered = column.collate("C" if self.dialect == "postgresql" else "BINARY")
        return _ORDERED[operator](ordered, texts[0])

    def like(self, column: ColumnElement[Any], pattern: str) -> Clause:
        pieces = pieces_of(pattern.casefold())
        escaped = [piece.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_") for piece in pieces]
        wanted = "%".join(escaped) if len(escaped) > 1 else f"%{escaped[0]}%"
        if self.dialect == "sqlite":  # whose LIKE ignores the case of ASCII; Python knows of the rest
            foreign = func.length(column) < func.length(cast(column, LargeBinary))
            folded = func.casefold(column).like(wanted, escape="\\")
            return or_(column.like(wanted, escape="\\"), and_(foreign, folded))
        plain = func.octet_length(column) == func.char_length(column)
        lower = func.lower(column.collate("C"))
        whole = case((plain, lower), else_=_folded(column, frozenset("".join(pieces))))
        return whole.like(wanted, escape="\\")

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


_ORDERED: Final[dict[str, Callable[[ColumnElement[Any], Any], Clause]]] = {
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
}


def _looks_elsewhere(clause: Clause) -> bool:
    return any(isinstance(part, Exists) for part in iterate(clause))


def _number(column: ColumnElement[Any], operator: str, numbers: Sequence[int]) -> Clause:
    """Numbers that no column can hold are decided here."""
    if operator in ("eq", "in"):
        return column.in_([number for number in numbers if abs(number) <= _LARGEST])
    number = numbers[0]
    if abs(number) <= _LARGEST:
        return _ORDERED[operator](column, number)
    return true() if (number > 0) == (operator in ("lt", "lte")) else false()


def _in_time(column: ColumnElement[Any], operator: str, span: Span) -> Clause:
    """As `Span.holds` has it."""
    if operator in ("eq", "in"):
        return and_(column >= span.start_at, column < span.end_at)
    if operator == "gt":
        return column >= span.end_at if span.whole_days else column > span.start_at
    if operator == "lte":
        return column < span.end_at if span.whole_days else column <= span.start_at
    return _ORDERED[operator](column, span.start_at)


def _folded(column: ColumnElement[Any], letters: frozenset[str]) -> ColumnElement[str]:
    """A text with every letter folded whose folding holds one of `letters`, for PostgreSQL.

    What is left as it is cannot be in a pattern, which is folded. Written out rather than nested: there may
    be more letters than calls that SQLAlchemy can nest.
    """
    named = f'{column.table.name}."{column.name}"'
    for letter, folding in _foldings():
        if letters.intersection(folding):
            named = f"replace({named}, '{letter}', '{folding}')"
    return literal_column(named, column.type)


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
