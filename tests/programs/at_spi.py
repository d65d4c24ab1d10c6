"""Reads the window through AT-SPI: `dbus-run-session -- python -m tests.programs.at_spi`.

Starts the accessibility bus and a virtual display, a window whose engine is the tests' stand-in,
asks it something, and prints what a screen reader gets: each role, name and text, and what is
announced. Needs Xvfb, at-spi2-core, and dbus for the system's Python (python3-dbus).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

LAUNCHERS: Final = ("/usr/libexec/at-spi-bus-launcher", "/usr/lib/at-spi2-core/at-spi-bus-launcher")
PYTHON: Final = "/usr/bin/python3"
PATIENCE_S: Final = 60

READER: Final = """
import dbus, sys, time
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib
ACCESSIBLE, TEXT = "org.a11y.atspi.Accessible", "org.a11y.atspi.Text"
DBusGMainLoop(set_as_default=True)
address = dbus.SessionBus().get_object("org.a11y.Bus", "/org/a11y/bus").GetAddress(
    dbus_interface="org.a11y.Bus")
bus = dbus.bus.BusConnection(address)
registry = bus.get_object("org.a11y.atspi.Registry", "/org/a11y/atspi/registry")
registry.RegisterEvent("object:announcement", dbus.Array([], signature="s"), "",
                       dbus_interface="org.a11y.atspi.Registry")
loop = GLib.MainLoop()
def announced(*event, **_):
    words = str(event[3])
    print("announced:", words.replace("\\n", " "), flush=True)
    if "reply" in words:
        loop.quit()
bus.add_signal_receiver(announced, signal_name="Announcement",
                        dbus_interface="org.a11y.atspi.Event.Object")
print("listening", flush=True)
GLib.timeout_add_seconds(40, loop.quit)
loop.run()
def get(thing, interface, name):
    return thing.Get(interface, name, dbus_interface="org.freedesktop.DBus.Properties")
def walk(reference, depth):
    thing = bus.get_object(*reference)
    name = str(get(thing, ACCESSIBLE, "Name"))
    role = str(thing.GetRoleName(dbus_interface=ACCESSIBLE))
    text = ""
    if TEXT in thing.GetInterfaces(dbus_interface=ACCESSIBLE):
        length = int(get(thing, TEXT, "CharacterCount"))
        text = str(thing.GetText(0, length, dbus_interface=TEXT))
    print(f"{role} {name!r} | {text}".replace("\\n", " "), flush=True)
    for child in thing.GetChildren(dbus_interface=ACCESSIBLE) if depth < 30 else ():
        walk(child, depth + 1)
walk(("org.a11y.atspi.Registry", "/org/a11y/atspi/accessible/root"), 0)
"""


def missing() -> str:
    """What this computer lacks for it; empty if nothing."""
    if not sys.platform.startswith("linux"):
        return "AT-SPI is of Linux"
    for program in ("dbus-run-session", "Xvfb"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if not any(Path(launcher).exists() for launcher in LAUNCHERS):
        return "at-spi2-core is not installed"
    check = [PYTHON, "-c", "import dbus, dbus.mainloop.glib, gi.repository.GLib"]
    if subprocess.run(check, capture_output=True, check=False).returncode:
        return "python3-dbus and python3-gi are not installed"
    return ""


def window() -> None:
    """The window that is read; it asks once it is told to, by a line on its standard input."""
    from PySide6.QtTest import QTest

    from app.chat import accessible
    from app.engine_client import EngineClient
    from app.models.loader import ReadyModel
    from app.program import application
    from app.store.database import open_in_memory
    from app.store.store import Store
    from app.theming import Look
    from app.window import MainWindow
    from tests.programs.screens import STAND_IN

    running = application()
    accessible.install()
    Look(running)
    engine = EngineClient([sys.executable, "-P", str(STAND_IN), ""])
    shown = MainWindow(Store(open_in_memory()), engine)
    shown.show()
    engine.start()
    while not isinstance(shown.loader.state, ReadyModel):
        QTest.qWait(20)
    print("ready", flush=True)
    sys.stdin.readline()
    shown.send("Why is it round?")
    QTest.qWait(PATIENCE_S * 1000)


def main() -> int:
    launcher = next(path for path in LAUNCHERS if Path(path).exists())
    read, write = os.pipe()
    started = [
        subprocess.Popen(
            [launcher, "--launch-immediately"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ),
        subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x800x24"],
            pass_fds=[write],
            stderr=subprocess.DEVNULL,
        ),
    ]
    try:
        display = os.read(read, 16).decode().strip()
        environment = os.environ | {
            "DISPLAY": f":{display}",
            "QT_QPA_PLATFORM": "xcb",
            "QT_LINUX_ACCESSIBILITY_ALWAYS_ON": "1",
        }
        asked = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-m", "tests.programs.at_spi", "--window"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.append(asked)
        assert asked.stdin
        assert asked.stdout
        asked.stdout.readline()
        reader = subprocess.Popen([PYTHON, "-c", READER], stdout=subprocess.PIPE)
        started.append(reader)
        assert reader.stdout
        reader.stdout.readline()
        asked.stdin.write(b"ask\n")
        asked.stdin.flush()
        until = time.monotonic() + PATIENCE_S
        for line in reader.stdout:
            sys.stdout.write(line.decode())
            if time.monotonic() > until:
                return 1
        return reader.wait()
    finally:
        os.killpg(started[0].pid, signal.SIGTERM)  # the bus that it started too
        for process in reversed(started):
            process.kill()
            process.wait()


if __name__ == "__main__":
    if "--window" in sys.argv:
        window()
        sys.exit()
    sys.exit(main())
