"""Recurring logics: what of a recurrence is due at a moment, as decisions that nobody carried out yet.

An occurrence is called by its nominal time, the instant its cron line names; it is due a little later when
the job has a `jitter`. Whoever carries decisions out writes one row for each, unique by logic and nominal
time: that is what makes a run start once, over restarts, replicas and clocks that are set.

Nothing is imported here: a job that is run by hand has a recurrence and asks nobody when it is due.
"""
