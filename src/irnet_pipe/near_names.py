"""Names that are nearly the same: what a misspelt one may mean, and which differ in case alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable


def nearest(name: str, names: Collection[str], *, likeness: float = 0.6) -> str | None:
    """The one of some names that another most likely means.

    Args:
        name: not one of them.
        names: to choose from.
        likeness: 0…1, that the most similar one has at least; one that differs in case alone is always found.
    """
    from difflib import get_close_matches

    folded = {known.casefold(): known for known in names}
    if name.casefold() in folded:
        return folded[name.casefold()]
    matches = get_close_matches(name, names, n=1, cutoff=likeness)
    return matches[0] if matches else None


def same_but_for_case(names: Iterable[str]) -> list[list[str]]:
    """Groups of two names or more that differ in case alone, or not at all, each in the order of the names."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.casefold(), []).append(name)
    return [group for group in groups.values() if len(group) > 1]
