"""The command line with the faulty engine behind it. Run by path."""

from __future__ import annotations

import sys
from pathlib import Path

from engine.command_line import ask, cli

if __name__ == "__main__":
    ask.SERVE = ["-P", str(Path(__file__).with_name("faulty_engine.py"))]
    sys.exit(cli.main())
