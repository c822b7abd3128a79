"""`python -m benchmarks`."""

import sys

if __name__ == "__main__":
    # imported here alone: each process that measures loads this module, and shall load no more than its row
    from benchmarks.command import main

    sys.exit(main())
