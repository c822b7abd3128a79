"""Last words of a job that was killed and could say none itself. Every rule's shell command ends with it."""

from __future__ import annotations

import sys
from pathlib import Path

KILLED = 128 + 9
"""What a shell reports of a process that was ended by SIGKILL."""


def main() -> int:
    """Explain an exit code on stderr and in the job's log; returns it.

    Arguments of the command line: exit code, rule, log.
    """
    code, rule, log = sys.argv[1:]
    if int(code) == KILLED:
        text = (
            f"error: {rule} was killed (signal 9), most likely because memory ran out; give it more (set-resources: "
            f"{rule}: mem_mb in the profile) or run fewer jobs at once (--cores), then run snakemake again\n"
        )
        sys.stderr.write(text)
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(text)
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
