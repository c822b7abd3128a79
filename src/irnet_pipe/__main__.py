"""`python -m irnet_pipe` is the command line."""

import sys

from irnet_pipe.cli.main import main

sys.exit(main())
