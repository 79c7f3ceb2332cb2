"""Bounds on memory held by many small jobs at once, for threads and for coroutines."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager


class ThreadBudget:
    """Lets threads hold at most `total` units together; one that asks for more holds all."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = total
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, amount: int) -> Iterator[None]:
        """Wait until `amount` units are free, and keep them for the block."""
        amount = min(amount, self.total)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= amount)
            self._free -= amount
        try:
            yield
        finally:
            with self._changed:
                self._free += amount
                self._changed.notify_all()


class TaskBudget:
    """The same for coroutines of one event loop, first come first served."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = total
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, amount: int) -> AsyncIterator[None]:
        """Wait until `amount` units are free, and keep them for the block."""
        amount = min(amount, self.total)
        if self._waiting or self._free < amount:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            entry = (amount, turn)
            self._waiting.append(entry)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._give_back(amount)
                elif entry in self._waiting:
                    self._waiting.remove(entry)
                raise
        else:
            self._free -= amount
        try:
            yield
        finally:
            self._give_back(amount)

    def _give_back(self, amount: int) -> None:
        self._free += amount
        while self._waiting and self._waiting[0][0] <= self._free:
            granted, turn = self._waiting.popleft()
            if not turn.done():
                self._free -= granted
                turn.set_result(None)
