"""Sets Hearth up beside this file at the first start, then runs it.

`start.py test` runs CI's checks.

Standard library only. stdout is the program's: whatever set-up has to say goes to stderr.
"""

import ctypes
import hashlib
import os
import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036, an older Python starts this file too
    sys.exit(
        f"Hearth needs Python 3.11 or newer, and this is {sys.version.split()[0]} "
        f"({sys.executable}). Install a newer one and run this file with it."
    )

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

TORCH = "2.13.0"
TORCH_INDEX = "https://download.pytorch.org/whl/"
CUDA_12 = 12000
CUDA_13 = 13000
"""What cuDriverGetVersion says from the first driver on that runs CUDA 13 builds."""
OLDEST_OF_CUDA_13 = (7, 5)
"""Compute capability: CUDA 13 has no kernels for older GPUs (Volta, Pascal, Maxwell)."""

LOCKS = {
    "hearth": ("requirements.lock", "requirements-model.lock"),
    "tests": ("requirements-dev.lock",),
}

# What PySide6's wheels leave to the system: `readelf -d` on Qt's libraries and platform plugins.
QT_LIBRARIES = {
    "libbrotlidec.so.1": "libbrotli1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libEGL.so.1": "libegl1",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libGL.so.1": "libgl1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgssapi_krb5.so.2": "libgssapi-krb5-2",
    "libwayland-client.so.0": "libwayland-client0",
    "libwayland-cursor.so.0": "libwayland-cursor0",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-glx.so.0": "libxcb-glx0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxkbcommon.so.0": "libxkbcommon0",
}


def main(args: list[str]) -> int:
    testing = args[:1] == ["test"]
    try:
        prepare(["hearth", "tests"] if testing else ["hearth"])
    except OSError as error:
        sys.exit(f"Set-up stopped: {error}. Mend that, then start again to go on.")
    except KeyboardInterrupt:
        sys.exit("Set-up stopped. Start again to go on.")
    if testing:
        os.chdir(ROOT)
        return run(["-P", "tests/checks.py", *args[1:]])
    return run(["-P", "-m", "app", *args])


def run(args: list[str]) -> int:
    """On Windows execve would return the prompt at once, so there this process waits."""
    command = [str(PYTHON), *args]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if os.name == "posix":
        os.execve(PYTHON, command, environment)
    import signal
    import subprocess

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the program's
    return subprocess.call(command, env=environment)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# ------------------------------------------------------------------------------------- set-up


def prepare(parts: list[str]) -> None:
    label = torch_label(sys.platform, usable_cuda())
    for part in parts:
        set_up(part, label)
    if sys.platform == "linux":
        check_qt_libraries()


def set_up(part: str, label: str) -> None:
    """Installs what `part` of LOCKS needs, unless its stamp says that this was done."""
    stamp = VENV / f"installed-{part}"
    done = fingerprint(part, label)
    if PYTHON.exists() and read(stamp) == done:
        return
    say(f"Setting up {part} in {VENV}: minutes the first time, nothing afterwards.")
    if not venv_works():
        make_venv()
    for lock in LOCKS[part]:
        say(f"Installing {lock} ...")
        if not pip("--no-deps", "--require-hashes", "-r", str(ROOT / lock)):
            sys.exit("Set-up stopped: pip's last lines above say why. Start again to go on.")
    if part == "hearth":
        install_torch(label)
    stamp.write_text(fingerprint(part, label))


def read(stamp: Path) -> str:
    return stamp.read_text() if stamp.is_file() else ""


def fingerprint(part: str, label: str) -> str:
    """Changes with the locks, this file, the torch build and the Python below the environment."""
    digest = hashlib.sha256(f"{label} {PYTHON.resolve()}".encode())
    for name in ("start.py", *LOCKS[part]):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def venv_works() -> bool:
    import subprocess

    test = "import pip, sys; sys.exit(sys.version_info < (3, 11))"
    return PYTHON.exists() and subprocess.call([PYTHON, "-c", test], stderr=subprocess.DEVNULL) == 0


def make_venv() -> None:
    try:
        import ensurepip  # noqa: F401, Debian splits it from venv, which fails late without it
        import venv
    except ImportError as error:
        sys.exit(
            f"This Python has no module {error.name}, which makes Hearth's own environment. "
            "On Debian and Ubuntu: apt-get install python3-venv"
        )
    venv.create(VENV, clear=True, with_pip=True, symlinks=os.name != "nt")


def pip(*args: str) -> bool:
    import subprocess

    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    return subprocess.call([*command, *args], stdout=sys.stderr) == 0


# -------------------------------------------------------------------------------------- torch


def usable_cuda() -> int:
    """The CUDA version that driver and GPUs run (13000 is 13.0), or 0 where there is no driver."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return 0
    version = ctypes.c_int(0)
    driver.cuDriverGetVersion(ctypes.byref(version))
    old = any(capability < OLDEST_OF_CUDA_13 for capability in compute_capabilities())
    return min(version.value, CUDA_12) if old else version.value


def compute_capabilities() -> list[tuple[int, int]]:
    """Of every GPU; empty where NVIDIA's management library is missing or does not know."""
    try:
        nvml = ctypes.CDLL("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
    except OSError:
        return []
    count, gpu = ctypes.c_uint(0), ctypes.c_void_p()
    if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)):
        return []
    found = []
    for index in range(count.value):
        major, minor = ctypes.c_int(0), ctypes.c_int(0)
        numbers = ctypes.byref(major), ctypes.byref(minor)
        if nvml.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(gpu)):
            continue
        if nvml.nvmlDeviceGetCudaComputeCapability(gpu, *numbers) == 0:
            found.append((major.value, minor.value))
    return found


def torch_label(platform: str, cuda: int) -> str:
    """Torch's name for the build that fits: "cpu", "cu126", "cu130", or "" for the default one.

    The default build is CUDA 13 on Linux, and has no CUDA on Windows and macOS.
    """
    if platform == "linux":
        return "cpu" if not cuda else "cu126" if cuda < CUDA_13 else ""
    if platform == "win32":
        return "" if not cuda else "cu126" if cuda < CUDA_13 else "cu130"
    return ""


def torch_requirement(label: str) -> str:
    """`===`, because `==2.13.0` is content with any build, the wrong one too."""
    return f"torch==={TORCH}+{label}" if label else f"torch==={TORCH}"


def install_torch(label: str) -> None:
    requirement = torch_requirement(label)
    say(f"Installing {requirement} ...")
    index = TORCH_INDEX + label
    # pip retries an index that does not answer for minutes, so it hears only of one that does.
    source = ["--extra-index-url", index] if label and answers(f"{index}/torch/") else []
    # The embedded model is installed without its dependencies: pip need not complain of that.
    if pip("--no-warn-conflicts", *source, requirement):
        return
    if not label:
        sys.exit("Set-up stopped: torch could not be installed, pip's last lines above say why.")
    size = " It holds CUDA: a download of some 3 GB." if label == "cpu" else ""
    say(f"No {requirement} to be had: taking the default build.{size}")
    install_torch("")


def answers(url: str) -> bool:
    from http.client import HTTPException
    from urllib.request import Request, urlopen

    request = Request(url, method="HEAD")  # noqa: S310, ours and https
    try:
        with urlopen(request, timeout=3):  # noqa: S310
            return True
    except (OSError, HTTPException):
        return False


# -------------------------------------------------------------------------- system libraries


def check_qt_libraries() -> None:
    """Once all are there the stamp says "-", and nothing is loaded to find out again.

    Until then each start says what is missing; to install it is tried once.
    """
    stamp = VENV / "system-libraries"
    before = read(stamp)
    if before == "-":
        return
    missing = missing_libraries(QT_LIBRARIES)
    if missing and " ".join(missing) != before:
        missing = install_qt_libraries(missing)
    if missing:
        say_missing(missing)
    stamp.write_text(" ".join(missing) or "-")


def install_qt_libraries(missing: list[str]) -> list[str]:
    """As root on Debian and Ubuntu; what is missing still."""
    import shutil
    import subprocess

    if os.getuid() != 0 or not shutil.which("apt-get"):
        return missing
    say("Installing system libraries that Qt needs ...")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], apt_get_install(missing)):
        subprocess.call(command, env=quiet, stdout=sys.stderr)
    return missing_libraries(QT_LIBRARIES)


def say_missing(missing: list[str]) -> None:
    import shutil

    if shutil.which("apt-get"):
        say("The window needs system libraries that are not here. Run this once:")
        say("  sudo " + " ".join(apt_get_install(missing)))
    else:
        say("The window needs system libraries that are not here: " + ", ".join(missing))


def apt_get_install(libraries: list[str]) -> list[str]:
    packages = [QT_LIBRARIES[library] for library in libraries]
    return ["apt-get", "install", "-y", "--no-install-recommends", *packages]


def missing_libraries(names: dict[str, str]) -> list[str]:
    return [name for name in names if not loads(name)]


def loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
