"""What is written as usual, without looking first, is what a verdict on each entry writes."""

from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st

from chargehand.store import open_store
from chargehand.store.entry import Outcome, Settled
from chargehand.store.ledger import write_entries
from invocations import ME, NOW, chunk, create, intent, result, share_ids, started
from laws import tried


@pytest.fixture
def usual_and_judged(tmp_path):
    """Two stores with the same invocation: entries are written as usual into one, judged in the other."""
    with ExitStack() as stack:
        opened = [
            stack.enter_context(open_store("", state=tmp_path / name, clock=lambda: NOW))
            for name in ("usual", "judged")
        ]
        yield opened


def rows_of(store):
    statements = ("SELECT * FROM template_invocation", "SELECT * FROM output")
    return store._database.read(lambda connection: [connection.rows(each) for each in statements])


OUTCOMES = (result("web1"), result("web1", "unknown", duration_s=None), result("web1", "failed", reason="\0"))
ENDED = Outcome(share_id=1, token="t", result=OUTCOMES[0])
entries = st.one_of(
    st.builds(intent, st.integers(1, 3), st.sampled_from("tu"), st.sampled_from([ME, "another"])),
    st.builds(started, st.integers(1, 3), st.sampled_from("tu")),
    st.builds(
        lambda share_id, token, what: Outcome(share_id=share_id, token=token, result=what),
        st.integers(1, 3),
        st.sampled_from(["t", "u", None]),
        st.sampled_from(OUTCOMES),
    ),
    st.builds(Settled, share_id=st.integers(1, 3)),
    st.builds(chunk, st.integers(1, 3), st.integers(0, 1), st.sampled_from([b"a", b"b"])),
)


@tried(15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(entries, min_size=1, max_size=4), max_size=6), cancelled=st.booleans())
@example(batches=[[intent(1)], [started(1), ENDED], [Settled(share_id=1)]], cancelled=False)
def test_what_is_written_as_usual_is_what_a_verdict_on_each_entry_writes(
    usual_and_judged, batches, cancelled
):
    usual, judged = usual_and_judged
    for store in usual_and_judged:
        store.invocations.prune(keep=0)
        store._database.write(lambda connection: connection.change("DELETE FROM job_invocation"))
        shares = create(store, "web1", "web2")
        if cancelled:
            store.invocations.request_cancel(shares, force=False, hosts=["web2"])
    first = share_ids(usual, usual.history.page(limit=1).records[0].id)[0]
    for batch in batches:
        numbered = [replace(each, share_id=each.share_id + first - 1) for each in batch]
        accepted = usual.invocations.record(numbered)
        assert accepted == judged._database.write(partial(write_entries, entries=numbered))
        assert rows_of(usual) == rows_of(judged)
