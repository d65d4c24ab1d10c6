"""`hearth`: opens the window; any other verb goes to the engine's command line."""

from __future__ import annotations

import argparse
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final, NoReturn

from app.engine_command import engine_command, engine_environment
from ground import streams, terminal

VERBS: Final = {
    "ask": "answer one prompt on the terminal",
    "models": "list the models on this computer",
    "doctor": "say what this computer can do, and what is missing",
    "bench": "measure how fast a model runs, and with which attention",
    "serve": "run the engine alone, for a window or a program",
}

NO_DISPLAY: Final = (
    "hearth: there is no display to open a window on. "
    "Set DISPLAY or WAYLAND_DISPLAY, or use `python3 start.py ask PROMPT` on the terminal."
)

LONGEST_S: Final = 24 * 3600.0
"""Qt counts a timer in milliseconds of 32 bits; a day is enough to wait for a reply."""


def main(arguments: list[str]) -> int:
    streams.prepare()
    with terminal.guarded_stderr():
        return run(arguments)


def run(arguments: list[str]) -> int:
    if arguments and arguments[0] in VERBS:
        return run_engine(arguments)
    options = parsed(arguments)
    if options.version:
        return run_engine(["--version"])  # the number is the engine's, which `app` cannot import
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


def parsed(arguments: list[str]) -> argparse.Namespace:
    made = parser()
    options = made.parse_args(arguments)
    if options.screenshot and options.smoke is None:
        made.error("--screenshot needs --smoke PROMPT")
    return options


def parser() -> argparse.ArgumentParser:
    verbs = "\n".join(f"  {verb:<8} {what}" for verb, what in VERBS.items())
    made = argparse.ArgumentParser(
        prog="hearth",
        description="Chat with language models on this computer. Without a verb: the window.",
        epilog=f"verbs (`python3 start.py VERB --help` says more):\n{verbs}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action="store_true", help="say which version this is, and leave")
    made.add_argument("--smoke", metavar="PROMPT", help="open the window, send PROMPT, and leave")
    made.add_argument(
        "--screenshot", metavar="FILE", type=Path, help="with --smoke: save a picture at the end"
    )
    made.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=seconds,
        default=300.0,
        help="for --smoke, 300 if unset",
    )
    return made


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= LONGEST_S:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of seconds above 0 and up to {LONGEST_S:.0f}"
        )
    return value


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
            return wait_for(command, environment)
        sys.stdout.flush()
        become(command, environment)
    except OSError as error:
        print(f"hearth: {command[0]} cannot be started: {error.strerror}.", file=sys.stderr)
        return 2


def wait_for(command: list[str], environment: dict[str, str]) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the engine's
    return subprocess.call(command, env=environment)


def become(command: list[str], environment: dict[str, str]) -> NoReturn:
    os.execve(command[0], command, environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
