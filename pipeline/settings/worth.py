"""Settings of image worth."""

from __future__ import annotations

from pydantic import Field

from benben.pipeline.settings.section import Section


class WorthSettings(Section):
    """Section `worth`: how well each image fits the texts around it."""

    enabled: bool = Field(
        default=False, description="train a model on the run's images and texts, and measure worth"
    )
    pairs: int = Field(
        default=10_000,
        gt=0,
        description="images with their texts that the model is trained on, chosen by hash",
    )
