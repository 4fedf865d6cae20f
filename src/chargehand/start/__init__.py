"""The start protocol: one script started on a host at most once, by whatever way the host is reached.

`protocol` is the conversation, without sockets or clocks; `wrapper` its other end; `become` how the
effective user is taken on; `conduct` carries it over a `channel`.
"""
