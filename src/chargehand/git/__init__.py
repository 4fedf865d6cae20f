"""Git: the commit a project is at, the files of a commit, and a mirror of a repository that is tracked.

Nothing is imported here: most commands ask which commit a file is of, and for nothing else.
"""
