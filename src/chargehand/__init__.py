"""Foreman Remote Execution's job invocations as YAML files in git."""

__version__ = "0.1.0"
