"""Tracking: a repository is the truth - what its branch holds is in force, if it may be and is whole."""

from chargehand.tracking.follower import Follower
from chargehand.tracking.sync import Synced, is_due, sync

__all__ = ["Follower", "Synced", "is_due", "sync"]
