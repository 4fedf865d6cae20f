"""Blackout: windows of time in which nothing starts by itself, from iCalendar files in git."""

from chargehand.blackout.calendars import Calendars, load_blackout
from chargehand.blackout.window import NO_BLACKOUT, Blackout, Window

__all__ = ["NO_BLACKOUT", "Blackout", "Calendars", "Window", "load_blackout"]
