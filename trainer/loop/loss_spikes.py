"""Detects loss spikes, after which a run rolls back and skips data."""

from __future__ import annotations

import math
import statistics
from collections import deque
from typing import Any

from benben.trainer.settings import GuardConfig


class SpikeGuard:
    """Watches losses; a spike is above median + factor x MAD of the last window, or not finite."""

    def __init__(self, config: GuardConfig) -> None:
        self.config = config
        self.losses: deque[float] = deque(maxlen=config.window)

    def limit(self) -> float:
        """Return the loss above which a step is a spike (infinite while too few were seen)."""
        if len(self.losses) < self.config.minimum:
            return math.inf
        median = statistics.median(self.losses)
        mad = statistics.median(abs(loss - median) for loss in self.losses)
        return median + self.config.factor * max(mad, 1e-3 * abs(median))

    def spikes(self, loss: float) -> bool:
        """Tell whether a step's loss is a spike; only losses that are none enter the window."""
        if not self.config.enabled:
            return False
        if not math.isfinite(loss) or loss > self.limit():
            return True
        self.losses.append(loss)
        return False

    def to_json(self) -> dict[str, Any]:
        return {"losses": list(self.losses)}

    def restore(self, data: dict[str, Any]) -> None:
        self.losses = deque(data["losses"], maxlen=self.config.window)
