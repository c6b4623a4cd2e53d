"""`python -m flows`: the command line without an installed script."""

import sys

from flows.cli import main

sys.exit(main())
