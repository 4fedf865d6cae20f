"""Requests: what a parsed command line asks for, one small value per command.

One module for each of the surface. Nothing is imported here: a command pays for its own request and for no
other, since a dataclass takes a millisecond to be made.
"""
