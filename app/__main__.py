"""`hearth`: opens the window; any other verb goes to the engine's command line."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Final, NoReturn

from app.interpreter import engine_command, engine_environment

VERBS: Final = {
    "ask": "answer one prompt on the terminal",
    "models": "list the models on this computer",
    "doctor": "say what this computer can do, and what is missing",
    "serve": "run the engine alone, for a window or a program",
}

NO_DISPLAY: Final = (
    "hearth: there is no display to open a window on. "
    "Set DISPLAY or WAYLAND_DISPLAY, or use `hearth ask PROMPT` on the terminal."
)


def main(arguments: list[str]) -> int:
    if arguments and arguments[0] in VERBS:
        return run_engine(arguments)
    options = parser().parse_args(arguments)
    if options.smoke is None:
        if lacks_display():
            print(NO_DISPLAY, file=sys.stderr)
            return 2
        from app.program import run_window

        return run_window()
    if lacks_display():
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from app.smoke import run_smoke

    return run_smoke(options.smoke, options.screenshot, options.timeout)


def parser() -> argparse.ArgumentParser:
    verbs = "\n".join(f"  {verb:<8} {what}" for verb, what in VERBS.items())
    made = argparse.ArgumentParser(
        prog="hearth",
        description="Chat with language models on this computer. Without a verb: the window.",
        epilog=f"verbs (`hearth VERB --help` says more):\n{verbs}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--smoke", metavar="PROMPT", help="open the window, send PROMPT, and leave")
    made.add_argument(
        "--screenshot", metavar="FILE", type=Path, help="with --smoke: save a picture at the end"
    )
    made.add_argument(
        "--timeout", metavar="SECONDS", type=float, default=300.0, help="for --smoke, 300 if unset"
    )
    return made


def lacks_display() -> bool:
    """Whether Qt would find no screen. A platform that was asked for by name is taken as it is."""
    if not sys.platform.startswith("linux") or os.environ.get("QT_QPA_PLATFORM"):
        return False
    return not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def run_engine(arguments: list[str]) -> int:
    """Becomes the engine's command line, or on Windows waits for it."""
    command, environment = engine_command(arguments), engine_environment()
    try:
        if os.name == "nt":
            return subprocess.call(command, env=environment)
        sys.stdout.flush()
        become(command, environment)
    except OSError as error:
        print(f"hearth: {command[0]} cannot be started: {error.strerror}.", file=sys.stderr)
        return 2


def become(command: list[str], environment: dict[str, str]) -> NoReturn:
    os.execve(command[0], command, environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
