"""Matching: names that go on as somebody began to type."""

from collections.abc import Iterable

from click.shell_completion import CompletionItem


def matching(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """Those that begin so."""
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
