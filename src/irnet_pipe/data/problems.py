"""Problems of the user's files, gathered so that one error tells them all."""

from __future__ import annotations

from irnet_pipe.errors import InputError

SHOWN = 20


class Problems:
    """Gathers problems by kind; `check` raises them as one error."""

    def __init__(self) -> None:
        self._by_kind: dict[str, list[str]] = {}

    def add(self, kind: str, message: str) -> None:
        """Add a problem.

        Args:
            kind: what such problems are called, in the plural: 'missing photos'.
            message: names file, value, bound and remedy.
        """
        self._by_kind.setdefault(kind, []).append(message)

    def add_error(self, kind: str, error: InputError) -> None:
        """Add the problems of an error."""
        for message in error.problems:
            self.add(kind, message)

    @property
    def messages(self) -> list[str]:
        """All messages, kind by kind; of a kind with many, the first ones and how many more there are."""
        messages = []
        for kind, found in self._by_kind.items():
            messages += found[:SHOWN]
            if len(found) > SHOWN:
                messages.append(f"… and {len(found) - SHOWN} more {kind}")
        return messages

    def check(self) -> None:
        """Raise what was gathered.

        Raises:
            InputError: there is a problem.
        """
        if self._by_kind:
            raise InputError(self.messages)
