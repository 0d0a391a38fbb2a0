"""An attempt at a row, and how it is lost."""


class Lost(Exception):
    """An attempt that came to nothing: at which stage, and why, as a sentence for a person."""

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(reason)
        self.stage, self.reason = stage, reason
