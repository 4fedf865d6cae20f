"""What is due: policies as cases, and laws over random logics and clocks."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehand.errors import InvocationError, UsageError
from chargehand.recurring.decision import Claims, Decision, Decisions, due, is_due
from chargehand.recurring.logic import RecurringLogic
from chargehand.recurring.upcoming import next_occurrence, upcoming_starts
from laws import tried

DAY = datetime(2027, 1, 1, tzinfo=UTC)


def at(text: str) -> datetime:
    """A time of the first day, or a day of January and a time."""
    day, _, time = text.rpartition(" ")
    hour, minute, *second = map(int, time.split(":"))
    return DAY.replace(day=int(day or 1)) + timedelta(hours=hour, minutes=minute, seconds=sum(second))


def hourly(**changes) -> RecurringLogic:
    values = {"key": "job", "playbook": "job.yml", "cron_line": "0 * * * *", "since": DAY, "seen_until": DAY}
    return RecurringLogic(**values | changes)


def told(decisions: Decisions) -> list[str]:
    return [f"{each.occurrence:%H:%M} {each.action}" for each in decisions.decisions]


def test_an_occurrence_is_due_at_its_instant_and_once():
    assert told(due(hourly(), at("0:59:59"))) == []
    found = due(hourly(), at("1:00"))
    assert told(found) == ["01:00 start"]
    assert (found.logic.iteration, found.logic.last_occurrence) == (1, at("1:00"))
    assert told(due(found.logic, at("1:00:30"), claims=Claims(taken=frozenset({at("1:00")})))) == []
    assert told(due(found.logic, at("2:00"))) == ["02:00 start"]


def test_a_start_is_on_time_up_to_two_minutes_later():
    logic = hourly(catch_up_runs="none")
    assert told(due(logic, at("1:01:59"))) == ["01:00 start"]
    assert told(due(logic, at("1:02"))) == ["01:00 missed"]


@pytest.mark.parametrize(
    ("runs", "window_s", "now", "expected"),
    [
        ("none", 3600, "4:30", ["01:00 missed", "02:00 missed", "03:00 missed", "04:00 missed"]),
        ("one", 3600, "4:30", ["01:00 missed", "02:00 missed", "03:00 missed", "04:00 start"]),
        ("one", 600, "4:30", ["01:00 missed", "02:00 missed", "03:00 missed", "04:00 missed"]),
        ("one", 7200, "4:00", ["01:00 missed", "02:00 missed", "03:00 missed", "04:00 start"]),
        ("all", 3600 * 3, "4:30", ["01:00 missed", "02:00 start"]),
        ("all", 600, "4:30", ["01:00 missed", "02:00 missed", "03:00 missed", "04:00 missed"]),
    ],
)
def test_missed_runs_are_caught_up_as_the_job_says(runs, window_s, now, expected):
    logic = hourly(catch_up_runs=runs, catch_up_window_s=window_s)
    found = due(logic, at(now))
    assert told(found) == expected
    for each in found.decisions:
        assert bool(each.reason) is (each.action != "start" or now != "4:00")


def test_all_missed_runs_go_one_after_the_other_oldest_first():
    logic = hourly(catch_up_runs="all", catch_up_window_s=7200)
    first = due(logic, at("3:30"))
    assert told(first) == ["01:00 missed", "02:00 start"]
    claims = Claims(taken=frozenset({at("1:00"), at("2:00")}), active=(1,))
    meanwhile = due(first.logic, at("3:31"), claims=claims)
    assert told(meanwhile) == []
    assert told(due(meanwhile.logic, at("3:32"), claims=replace(claims, active=()))) == ["03:00 start"]


def test_a_missed_run_says_which_run_stands_for_it():
    missed, started = due(hourly(), at("2:30")).decisions
    assert missed.code == "missed"
    assert "the run of 2027-01-01T02:00:00Z stands for it" in missed.reason
    assert (started.code, started.reason) == ("late", "started late: it was due at 2027-01-01T02:00:00Z")


@pytest.mark.parametrize(
    ("overlap", "waiting", "expected", "cancelled"),
    [
        ("skip", False, "skip", ()),
        ("queue", False, "wait", ()),
        ("queue", True, "skip", ()),
        ("allow", False, "start", ()),
        ("cancel_running", False, "wait", (7,)),
        ("cancel_running", True, "skip", ()),
    ],
)
def test_a_run_that_goes_on_is_met_as_the_job_says(overlap, waiting, expected, cancelled):
    waits = (at("2:00"),) if waiting else ()
    logic = hourly(overlap=overlap, seen_until=at("2:00"), iteration=1)
    claims = Claims(taken=frozenset({at("1:00"), *waits}), active=(7,), waiting=waits)
    found = due(logic, at("3:00"), claims=claims)
    (decision,) = found.decisions
    assert (decision.action, found.cancel) == (expected, cancelled)
    assert decision.exit_code == (11 if expected == "skip" else None)
    assert decision.code == ("" if expected == "start" else "overlap")
    assert found.logic.iteration == (2 if expected == "start" else 1)


def test_what_waits_starts_when_the_run_before_it_is_over():
    logic = hourly(overlap="queue", seen_until=at("2:00"))
    claims = Claims(taken=frozenset({at("2:00")}), waiting=(at("2:00"),))
    found = due(logic, at("2:40"), claims=claims)
    assert told(found) == ["02:00 start"]
    assert found.logic.iteration == 1
    assert told(due(logic, at("2:40"), claims=replace(claims, active=(1,)))) == []


def test_what_waits_when_the_end_comes_is_cancelled():
    logic = hourly(overlap="queue", seen_until=at("2:00"), end_time=at("2:30"))
    claims = Claims(taken=frozenset({at("2:00")}), waiting=(at("2:00"),))
    found = due(logic, at("2:30"), claims=claims)
    assert told(found) == ["02:00 cancelled"]
    assert found.logic.state == "finished"


def test_the_last_run_that_max_iteration_allows_finishes_the_logic_as_it_starts():
    logic = hourly(max_iteration=2, overlap="allow")
    first = due(logic, at("1:00"))
    assert first.logic.state == "active"
    second = due(first.logic, at("2:00"))
    assert (second.logic.state, second.logic.iteration) == ("finished", 2)
    assert told(due(second.logic, at("3:00"))) == []
    assert next_occurrence(second.logic, at("2:00")) is None


def test_a_waiting_run_counts_for_max_iteration_and_finishes_when_it_starts():
    logic = hourly(max_iteration=2, overlap="queue", iteration=1, seen_until=at("1:00"))
    found = due(logic, at("2:00"), claims=Claims(active=(1,)))
    assert (told(found), found.logic.state) == (["02:00 wait"], "active")
    claims = Claims(taken=frozenset({at("2:00")}), waiting=(at("2:00"),))
    found = due(found.logic, at("2:10"), claims=claims)
    assert (told(found), found.logic.state) == (["02:00 start"], "finished")


def test_nothing_starts_at_or_after_the_end():
    logic = hourly(end_time=at("3:00"))
    found = due(logic, at("2:00"))
    assert told(found) == ["01:00 missed", "02:00 start"]
    assert (found.logic.state, found.logic.reason) == ("finished", "end_time is reached")
    late = due(logic, at("3:00"))
    assert told(late) == ["01:00 missed", "02:00 missed"]
    assert late.logic.state == "finished"


def test_an_end_that_a_wrong_clock_saw_does_not_finish_it_for_ever():
    logic = due(hourly(end_time=at("20 0:00")), datetime(2037, 1, 1, tzinfo=UTC)).logic
    assert logic.state == "finished"
    taken = Claims(taken=frozenset({at("19 23:00")}))
    assert told(due(logic, at("2:00"), claims=taken)) == ["02:00 start"]


def test_the_first_occurrence_may_be_the_start_itself():
    logic = hourly(start_at=at("5:00"))
    assert told(due(logic, at("4:00"))) == []
    assert told(due(logic, at("5:00"))) == ["05:00 start"]


def test_a_first_run_that_cannot_start_in_time_is_cancelled_and_later_ones_go_on():
    logic = hourly(start_at=at("5:00"), start_before=at("5:01"))
    found = due(logic, at("5:01:30"))
    assert told(found) == ["05:00 cancelled"]
    assert (found.decisions[0].code, found.logic.iteration) == ("start_before", 0)
    assert told(due(found.logic, at("6:00"))) == ["06:00 start"]


def test_a_pause_is_neither_run_nor_caught_up():
    paused = hourly().paused("maintenance")
    assert (paused.state, paused.reason) == ("disabled", "maintenance")
    assert told(due(paused, at("2:00"))) == []
    resumed = paused.resumed(at("2:30"))
    assert told(due(resumed, at("2:31"))) == []
    assert told(due(resumed, at("3:00"))) == ["03:00 start"]


def test_a_pause_ends_by_itself_and_what_was_missed_since_is_caught_up():
    paused = hourly().paused("maintenance", at("1:30"))
    assert not is_due(paused, at("1:29"))
    found = due(paused, at("2:30"))
    assert (told(found), found.logic.state, found.logic.reason) == (["02:00 start"], "active", "")


def test_a_cancelled_logic_is_active_again_when_its_user_says_so_and_a_removed_one_is_not():
    ended = hourly().ended("cancelled by root")
    assert told(due(ended, at("1:00"))) == []
    assert ended.resumed(at("1:30")).state == "active"
    with pytest.raises(UsageError, match="put its job back"):
        hourly().ended("its job is gone", removed=True).resumed(at("1:30"))
    with pytest.raises(UsageError, match="nothing to pause"):
        ended.paused()
    with pytest.raises(UsageError, match="raise"):
        hourly(state="finished").resumed(at("1:30"))


def test_a_jitter_puts_every_start_off_by_the_same_and_keeps_the_nominal_time():
    logic = hourly(jitter_s=1800)
    delay = logic.delay
    assert timedelta() < delay < timedelta(seconds=1800)
    assert hourly(jitter_s=1800, key="other").delay != delay
    assert told(due(logic, at("1:00") + delay - timedelta(seconds=1))) == []
    found = due(logic, at("1:00") + delay)
    assert told(found) == ["01:00 start"]
    assert next_occurrence(found.logic, at("1:30")) == at("2:00") + delay


def test_a_jitter_that_changes_loses_no_occurrence():
    logic = hourly(jitter_s=1800)
    logic = due(logic, at("1:00")).logic
    assert told(due(replace(logic, jitter_s=0), at("1:00:30"))) == ["01:00 start"]


def test_an_occurrence_inside_a_blackout_is_recorded_with_the_name_of_the_window():
    def frozen(moment):
        return "Christmas" if at("1:30") <= moment < at("2:30") else ""

    found = due(hourly(seen_until=at("1:00")), at("2:00"), blackout=frozen)
    assert told(found) == ["02:00 blackout"]
    assert (found.decisions[0].code, found.decisions[0].reason) == (
        "blackout",
        "nothing starts during Christmas",
    )
    assert next_occurrence(hourly(), at("1:15"), frozen) == at("3:00")


def test_a_missed_run_waits_for_the_end_of_a_blackout():
    def frozen(moment):
        return "Christmas" if moment >= at("1:15") else ""

    found = due(hourly(), at("1:20"), blackout=frozen)
    assert told(found) == []
    assert told(due(found.logic, at("1:40"))) == ["01:00 start"]
    assert told(due(found.logic, at("2:01"), blackout=frozen)) == ["01:00 missed", "02:00 blackout"]


def test_a_clock_put_forward_by_years_makes_a_hundred_records_and_one_run():
    logic = hourly(cron_line="* * * * *")
    found = due(logic, DAY.replace(year=2037))
    assert len(found.decisions) == 100
    assert found.decisions[0].reason == "missed, as were more than 200 before it"
    assert [each.action for each in found.decisions].count("start") == 1


def test_how_many_were_missed_is_counted_as_far_as_it_can_be():
    found = due(hourly(), DAY + timedelta(hours=150, minutes=30))
    assert len(found.decisions) == 100
    assert found.decisions[0].reason == "missed, as were 50 before it"


def test_a_clock_put_back_neither_doubles_nor_stops_a_logic():
    logic = due(hourly(), DAY.replace(year=2037)).logic
    assert told(due(logic, at("5:00"))) == ["05:00 start"]
    logic = due(hourly(), at("5:00")).logic
    back = due(logic, at("4:00"), claims=Claims(taken=frozenset({at("4:00"), at("5:00")})))
    assert told(back) == []
    assert told(due(back.logic, at("5:00"), claims=Claims(taken=frozenset({at("5:00")})))) == []
    assert told(due(back.logic, at("6:00"), claims=Claims(taken=frozenset({at("5:00")})))) == ["06:00 start"]


def test_a_clock_that_has_not_been_set_yet_starts_nothing():
    assert told(due(hourly(), datetime(1970, 1, 1, tzinfo=UTC))) == []
    assert not is_due(hourly(), datetime(1970, 1, 1, tzinfo=UTC))


def test_a_zone_or_line_that_is_no_longer_known_is_said_so():
    with pytest.raises(InvocationError, match="Mars/Olympus"):
        due(hourly(time_zone="Mars/Olympus"), at("1:00"))
    with pytest.raises(InvocationError):
        due(hourly(cron_line="61 * * * *"), at("1:00"))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["01:00", "02:00", "03:00"]),
        ({"max_iteration": 2}, ["01:00", "02:00"]),
        ({"max_iteration": 2, "iteration": 2, "state": "finished"}, []),
        ({"end_time": at("3:00")}, ["01:00", "02:00"]),
        ({"state": "disabled"}, []),
        ({"state": "disabled", "paused_until": at("1:30")}, ["02:00", "03:00", "04:00"]),
        ({"state": "cancelled"}, []),
        ({"start_at": at("7:30")}, ["08:00", "09:00", "10:00"]),
    ],
)
def test_what_comes_is_shown_as_far_as_it_will(changes, expected):
    starts = [f"{start:%H:%M}" for start, _ in zip(upcoming_starts(hourly(**changes), DAY), range(3))]  # noqa: B905
    assert starts == expected


class Ledger:
    """A store in memory, carried through random nights: what is decided, started, over."""

    def __init__(self, logic: RecurringLogic) -> None:
        self.logic = logic
        self.rows: dict[datetime, Decision] = {}
        self.starts: list[tuple[datetime, datetime]] = []
        self.active: dict[int, datetime] = {}
        self.waiting: list[datetime] = []

    def pass_(self, now: datetime, blackout) -> Decisions:
        claims = Claims(taken=frozenset(self.rows), active=tuple(self.active), waiting=tuple(self.waiting))
        expects = is_due(self.logic, now) or bool(self.waiting)
        found = due(self.logic, now, claims=claims, blackout=blackout)
        assert expects or found == Decisions(logic=self.logic) or not found.decisions
        for each in found.decisions:
            if each.occurrence in self.waiting:
                assert each.action in ("start", "cancelled")
                self.waiting.remove(each.occurrence)
            else:
                assert each.occurrence not in self.rows, "decided twice"
            self.rows[each.occurrence] = each
            if each.action == "start":
                self.starts.append((each.occurrence, now))
                self.active[len(self.starts)] = now
            if each.action == "wait":
                self.waiting.append(each.occurrence)
            assert each.reason or each.action == "start"
        for number in found.cancel:
            self.active.pop(number)
        self.logic = found.logic
        return found


steps = st.lists(
    st.one_of(
        st.tuples(st.just("sleep"), st.sampled_from([5, 30, 60, 90, 600, 4000, 20000])),
        st.tuples(st.just("jump"), st.sampled_from([-90000, -3600, -60, 3600, 90000])),
        st.tuples(st.just("end"), st.just(0)),
        st.tuples(st.just("pause"), st.sampled_from([0, 1800])),
        st.tuples(st.just("resume"), st.just(0)),
    ),
    min_size=3,
    max_size=40,
)
lines = st.sampled_from(["* * * * *", "*/7 * * * *", "0 * * * *", "30 2 * * *", "15 1-3 * * *"])
logics = st.builds(
    hourly,
    cron_line=lines,
    key=st.sampled_from(["a", "b", "c"]),
    time_zone=st.sampled_from(["UTC", "Europe/Berlin"]),
    overlap=st.sampled_from(["skip", "queue", "allow", "cancel_running"]),
    catch_up_runs=st.sampled_from(["none", "one", "all"]),
    catch_up_window_s=st.sampled_from([60.0, 600.0, 3600.0, 90000.0]),
    jitter_s=st.sampled_from([0.0, 0.0, 45.0, 3600.0]),
    max_iteration=st.none() | st.integers(1, 4),
    end_time=st.none() | st.integers(1, 2000).map(lambda minutes: DAY + timedelta(minutes=minutes)),
    start_at=st.none() | st.integers(1, 300).map(lambda minutes: DAY + timedelta(minutes=minutes)),
)


@tried(60)
@given(logics, steps, st.booleans())
def test_whatever_the_clock_does_nothing_is_decided_twice_and_every_bound_holds(logic, walk, freezes):
    def blackout(moment):
        return "freeze" if freezes and 4 <= moment.hour < 6 else ""

    ledger, now = Ledger(logic), DAY
    for action, amount in walk:
        if action in ("sleep", "jump"):
            now += timedelta(seconds=amount)
        elif action == "end":
            ledger.active.clear()
        elif action == "pause" and ledger.logic.state in ("active", "disabled"):
            ledger.logic = ledger.logic.paused("", now + timedelta(seconds=amount) if amount else None)
            ledger.waiting.clear()
        elif action == "resume" and ledger.logic.state == "disabled":
            ledger.logic = ledger.logic.resumed(now)
        paused, until = ledger.logic.state == "disabled", ledger.logic.paused_until
        idle, before = not ledger.active, len(ledger.starts)
        found = ledger.pass_(now, blackout)
        started = ledger.starts[before:]
        if paused and (until is None or until > now):
            assert not found.decisions
        assert len(started) <= 1 or logic.overlap == "allow"
        assert not started or idle or logic.overlap == "allow"
        assert not started or not blackout(now)
        for occurrence, moment in started:
            assert occurrence + logic.delay <= moment
            assert logic.start_at is None or occurrence >= logic.start_at
            late = moment - occurrence - logic.delay
            if late >= timedelta(seconds=120) and logic.overlap not in ("queue", "cancel_running"):
                assert logic.catch_up_runs != "none"
                assert late <= timedelta(seconds=logic.catch_up_window_s)
    count = len(ledger.starts)
    assert ledger.logic.iteration == count
    assert logic.max_iteration is None or count <= logic.max_iteration
    assert logic.end_time is None or all(moment < logic.end_time for _, moment in ledger.starts)
    assert len({occurrence for occurrence, _ in ledger.starts}) == count


@tried(40)
@given(logics, st.lists(st.sampled_from([5, 30, 60, 90, 600, 3000]), min_size=2, max_size=30))
def test_every_occurrence_is_recorded_while_the_clock_runs_and_the_logic_is_active(logic, sleeps):
    logic = replace(logic, max_iteration=None, end_time=None, start_at=None).begun(DAY)
    ledger, now, total = Ledger(logic), DAY, []
    endless = upcoming_starts(logic, DAY - timedelta(seconds=1))
    upcoming = next(endless)
    for sleep in sleeps:
        now += timedelta(seconds=sleep)
        ledger.active.clear()
        ledger.pass_(now, lambda moment: "")
        while upcoming <= now:
            if upcoming > DAY:
                total.append(upcoming - logic.delay)
            upcoming = next(endless)
    newest = total[-100:]
    left = [each for each in newest if each not in ledger.rows]
    assert left == [] or logic.catch_up_runs == "all"
    assert all(each > ledger.logic.seen_until for each in left)
    starts = [each for each in ledger.rows.values() if each.action == "start"]
    late = [each for each in starts if each.code == "late"]
    if logic.catch_up_runs == "none" and logic.overlap in ("skip", "allow"):
        assert late == []
