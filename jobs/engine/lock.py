"""One writer an output folder: a second run there is refused with a message.

On a local disk the operating system holds the lock and ends it with the process. In a store the
lock is an object that its holder writes again every few seconds; one that nobody writes any more is
taken over. A holder that was paused for so long notices, and commits nothing more. No clock is
compared with another.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from benben.jobs.engine.progress import say
from benben.pipeline import storage
from benben.pipeline.errors import UserError

NAME = "lock.json"
BEAT_SECONDS = 10.0  # between two writes of a store's lock
STALE_SECONDS = 45.0  # without a write, until a store's lock is taken over
SETTLE_SECONDS = 1.0  # after which another that took it over at the same moment has written
_held: set[str] = set()  # folders that this process has locked
_lost: set[str] = set()  # paths of locks that others took over
_kept: list[ExitStack] = []


@contextmanager
def kept() -> Iterator[None]:
    """Hold locks that are taken in the block up to its end, so that no run gets between two."""
    with ExitStack() as stack:
        _kept.append(stack)
        try:
            yield
        finally:
            _kept.remove(stack)


@contextmanager
def writing(output: str) -> Iterator[None]:
    """Hold the lock of an output folder. Raises UserError when another run has it.

    Blocks of one process may be nested.
    """
    if output in _held:
        yield
    elif _kept:
        _kept[-1].enter_context(_locked(output))
        yield
    else:
        with _locked(output):
            yield


def check(output: str) -> None:
    """Raise UserError if another run took the lock over while this one did not renew it."""
    path = storage.join(output, NAME)
    if path in _lost:
        raise _refusal(path, _read(path))


@contextmanager
def _locked(output: str) -> Iterator[None]:
    path = storage.join(output, NAME)
    local = storage.local_path(path)
    with _local(local) if local else _stored(path):
        _held.add(output)
        try:
            yield
        finally:
            _held.discard(output)


def _holder() -> dict[str, str | int]:
    """What a lock says about its holder, for people."""
    return {"host": socket.gethostname(), "process": os.getpid(), "id": uuid.uuid4().hex}


def _refusal(path: str, text: bytes) -> UserError:
    try:
        found = json.loads(text)
        who = f"process {found['process']} on {found['host']}"
    except (ValueError, KeyError, TypeError):
        who = "another process"
    return UserError(
        f"{path.removesuffix('/' + NAME)}: {who} is writing here; wait for it, stop it, or choose "
        f"another `output`"
    )


@contextmanager
def _local(path: str) -> Iterator[None]:
    descriptor = _open_locked(path)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(_holder()).encode())
        yield
    finally:
        with suppress(OSError):
            os.unlink(path)
        os.close(descriptor)


def _open_locked(path: str) -> int:
    """Open and lock the file; one that its holder deleted in the meantime is opened again."""
    while True:
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise UserError(f"{path}: cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
            os.close(descriptor)
        except FileNotFoundError:
            os.close(descriptor)
        except OSError:
            text = os.read(descriptor, 4096)
            os.close(descriptor)
            raise _refusal(path, text) from None


@contextmanager
def _stored(path: str) -> Iterator[None]:
    mine = json.dumps(_holder()).encode()
    if not storage.create(path, mine):
        _wait_until_stale(path)
        storage.write_bytes(path, mine)
        time.sleep(SETTLE_SECONDS)
        if _read(path) != mine:
            raise _refusal(path, _read(path))
    stop = threading.Event()
    beat = threading.Thread(target=_beat, args=(path, mine, stop), daemon=True)
    beat.start()
    try:
        yield
    finally:
        stop.set()
        beat.join()
        if path not in _lost:
            with suppress(OSError):
                storage.delete_file(path)
        _lost.discard(path)


def _beat(path: str, mine: bytes, stop: threading.Event) -> None:
    """Write the lock again and again, each time with another number of spaces at its end."""
    spaces = 0
    while not stop.wait(BEAT_SECONDS):
        spaces = spaces % 1000 + 1
        with suppress(OSError):  # the next one may succeed
            if _read(path).rstrip() not in (mine, b""):
                _lost.add(path)
                return
            storage.write_bytes(path, mine + b" " * spaces)


def _wait_until_stale(path: str) -> None:
    """Watch another's lock for a while. Raises UserError when its holder writes it again."""
    before, until = _read(path), time.monotonic() + STALE_SECONDS
    say(f"{path}: a run that may have ended left this lock; waiting {STALE_SECONDS:g} s")
    while time.monotonic() < until:
        time.sleep(min(1.0, STALE_SECONDS / 10))
        now = _read(path)
        if not now:
            return
        if now != before:
            raise _refusal(path, now)


def _read(path: str) -> bytes:
    try:
        return storage.read_bytes(path)
    except FileNotFoundError:
        return b""
