"""CUDA C++ compiled while the program runs, by NVRTC, which torch's CUDA builds bring with them.

torch's own door to it (`torch.cuda._compile_kernel`) has no launch attributes, which programmatic
dependent launch needs; `cuda-core` has none either. So the driver's functions are called here.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch

from engine import folders
from ground import private

SHARED_BYTES: Final = 8
"""CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES."""
PROGRAMMATIC: Final = 6
"""CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION."""
PROGRAMMATIC_FROM: Final = (9, 0)
"""Compute capability of the first GPUs that have it."""
SHARED_UNASKED: Final = 48 * 1024
"""Bytes of shared memory that a block may have without being allowed more."""

_log = logging.getLogger(__name__)


class CudaError(RuntimeError):
    """The driver or the compiler refused; its own words are in the message."""


class _Attribute(ctypes.Structure):
    _fields_ = (("id", ctypes.c_int), ("padding", ctypes.c_int), ("value", ctypes.c_byte * 64))


class _Launch(ctypes.Structure):
    _fields_ = (
        ("grid", ctypes.c_uint * 3),
        ("block", ctypes.c_uint * 3),
        ("shared_bytes", ctypes.c_uint),
        ("stream", ctypes.c_void_p),
        ("attributes", ctypes.POINTER(_Attribute)),
        ("count", ctypes.c_uint),
    )


class Kernel:
    """A function of a module that is loaded into torch's context of one device."""

    def __init__(self, function: ctypes.c_void_p, *, programmatic: bool) -> None:
        self._function = function
        self._attributes = (_Attribute * 1)()
        self._attributes[0].id = PROGRAMMATIC
        self._attributes[0].value[0] = 1
        self._count = 1 if programmatic else 0
        self._allowed = SHARED_UNASKED

    def allow_shared(self, shared_bytes: int) -> None:
        """Raises CudaError if a block cannot have so much."""
        if shared_bytes > self._allowed:
            driver = _driver()
            check(driver, driver.cuFuncSetAttribute(self._function, SHARED_BYTES, shared_bytes))
            self._allowed = shared_bytes

    def blocks_a_multiprocessor(self, threads: int, shared_bytes: int) -> int:
        """Blocks that run on a multiprocessor at the same time."""
        driver, found = _driver(), ctypes.c_int()
        self.allow_shared(shared_bytes)
        check(
            driver,
            driver.cuOccupancyMaxActiveBlocksPerMultiprocessor(
                ctypes.byref(found), self._function, threads, ctypes.c_size_t(shared_bytes)
            ),
        )
        return found.value

    def launch(
        self, grid: tuple[int, int], threads: int, shared_bytes: int, *arguments: Any
    ) -> None:
        """On torch's current stream. `arguments` are ctypes values or structures."""
        driver = _driver()
        pointers = (ctypes.c_void_p * len(arguments))(*(ctypes.addressof(one) for one in arguments))
        launch = _Launch(
            (*grid, 1),
            (threads, 1, 1),
            shared_bytes,
            torch.cuda.current_stream().cuda_stream,
            self._attributes,
            self._count,
        )
        check(driver, driver.cuLaunchKernelEx(ctypes.byref(launch), self._function, pointers, None))


def compiled(source: bytes, name: str, defines: Sequence[str], device: torch.device) -> Kernel:
    """The kernel `name` of a source, compiled for the device or taken from the user's cache.

    Raises CudaError if the source does not compile or the module does not load.
    """
    programmatic = torch.cuda.get_device_capability(device) >= PROGRAMMATIC_FROM
    options = _options(defines, device)
    try:
        function = _loaded(image(source, defines, device), name)
    except CudaError:  # a file of the cache that is damaged is made again
        function = _loaded(_kept(_file(source, options), _compile(source, options)), name)
    return Kernel(function, programmatic=programmatic)


def image(source: bytes, defines: Sequence[str], device: torch.device) -> bytes:
    """The module, compiled or taken from the user's cache; threads may compile side by side.

    Raises CudaError if the source does not compile.
    """
    options = _options(defines, device)
    file = _file(source, options)
    try:
        return file.read_bytes()
    except OSError:
        return _kept(file, _compile(source, options))


def _options(defines: Sequence[str], device: torch.device) -> list[str]:
    major, minor = torch.cuda.get_device_capability(device)
    given = (f"-D{define}" for define in defines)
    return [f"--gpu-architecture=sm_{major}{minor}", "--std=c++17", *given]


def _kept(file: Path, image: bytes) -> bytes:
    try:
        private.make_folder(file.parent)
        private.write(file, image)
    except OSError as error:
        _log.warning("a compiled kernel is not kept: %s", error)
    return image


def _file(source: bytes, options: Sequence[str]) -> Path:
    key = hashlib.sha256()
    for part in (source, *(option.encode() for option in options), _version().encode()):
        key.update(part + b"\0")
    return folders.cache() / "kernels" / f"{key.hexdigest()}.cubin"


def _loaded(image: bytes, name: str) -> ctypes.c_void_p:
    torch.cuda.current_stream()  # torch makes the context
    driver, module, function = _driver(), ctypes.c_void_p(), ctypes.c_void_p()
    check(driver, driver.cuModuleLoadData(ctypes.byref(module), image))
    check(driver, driver.cuModuleGetFunction(ctypes.byref(function), module, name.encode()))
    return function


def _compile(source: bytes, options: Sequence[str]) -> bytes:
    return compiled_by(_nvrtc(), source, options)[0]


def compiled_by(library: Any, source: bytes, options: Sequence[str]) -> tuple[bytes, str]:
    """The module, and what the compiler wrote about it. Raises CudaError."""
    program = ctypes.c_void_p()
    _compiles(library.nvrtcCreateProgram(ctypes.byref(program), source, b"", 0, None, None))
    try:
        given = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        if library.nvrtcCompileProgram(program, len(options), given):
            raise CudaError(_text(library, program))
        size = ctypes.c_size_t()
        _compiles(library.nvrtcGetCUBINSize(program, ctypes.byref(size)))
        image = ctypes.create_string_buffer(size.value)
        _compiles(library.nvrtcGetCUBIN(program, image))
        return image.raw, _text(library, program)
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


def _text(library: Any, program: ctypes.c_void_p) -> str:
    size = ctypes.c_size_t()
    _compiles(library.nvrtcGetProgramLogSize(program, ctypes.byref(size)))
    text = ctypes.create_string_buffer(size.value)
    _compiles(library.nvrtcGetProgramLog(program, text))
    return text.value.decode(errors="replace")


def _compiles(result: int) -> None:
    if result:
        raise CudaError(f"NVRTC failed with code {result}")


def check(driver: Any, result: int) -> None:
    """Raises CudaError for a result that is no success."""
    if result:
        words = ctypes.c_char_p()
        driver.cuGetErrorString(result, ctypes.byref(words))
        raise CudaError((words.value or b"").decode() or f"CUDA failed with code {result}")


def _version() -> str:
    major, minor = ctypes.c_int(), ctypes.c_int()
    _compiles(_nvrtc().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)))
    return f"{major.value}.{minor.value}"


@functools.cache
def _driver() -> Any:
    if os.name == "nt":
        return ctypes.CDLL("nvcuda.dll")
    return ctypes.CDLL("libcuda.so.1")


@functools.cache
def _nvrtc() -> Any:
    """The library that came with torch. Raises CudaError if there is none."""
    major = (torch.version.cuda or "").partition(".")[0]
    try:
        if os.name != "nt":
            return ctypes.CDLL(f"libnvrtc.so.{major}")  # loaded by torch already
        beside = Path(torch.__file__).parent / "lib"
        return ctypes.CDLL(str(next(iter(sorted(beside.glob(f"nvrtc64_{major}*_0.dll"))))))
    except (OSError, StopIteration) as error:
        raise CudaError(f"NVRTC, CUDA's compiler, is not there: {error}") from error
