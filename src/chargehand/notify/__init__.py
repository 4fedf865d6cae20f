"""Notify: messages about runs to people who are elsewhere, by Apprise.

Nothing is imported here: every job is asked whom it tells, and most tell nobody.
"""
