"""`python -P -m engine VERB`."""

import sys
import warnings

from engine.command_line.cli import main

if __name__ == "__main__":
    if "error" in sys.warnoptions:  # libraries warn of each other
        warnings.simplefilter("default")
    sys.exit(main())
