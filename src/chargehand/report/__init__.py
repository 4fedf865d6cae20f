"""What is told of runs and problems: JSON, events, recap, terminal; everything a host said is made safe.

Nothing is imported here: a command pays for the form it prints and for no other.
"""
