"""What is logged during a run is told among its events, without what an exception says."""

import logging
from datetime import UTC, datetime

from chargehand.cli.lognotices import LogNotices

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_a_warning_is_a_notice_and_chatter_is_not():
    heard = []
    with LogNotices(heard.append, lambda: NOW):
        logging.getLogger("chargehand.ssh.trust").warning("web1: recorded its new host key")
        logging.getLogger("chargehand.ssh.link").info("nothing")
    logging.getLogger("chargehand").handlers.clear()
    assert [(each.at, each.message) for each in heard] == [(NOW, "web1: recorded its new host key")]


def test_an_exception_is_told_by_type_and_place_and_keeps_its_message_to_itself():
    heard = []
    with LogNotices(heard.append, lambda: NOW):
        try:
            int("hunter2-canary")
        except ValueError:
            logging.getLogger("chargehand.runner").exception("[1f] while running on web1")
    (notice,) = heard
    assert notice.message.startswith("[1f] while running on web1: ValueError at ")
    assert "test_lognotices.py:" in notice.message
    assert "hunter2-canary" not in notice.message
