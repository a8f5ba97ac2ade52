"""A doorbell for tests that records the rings."""


class MemoryDoorbell:
    """Records the lanes that were rung for, in order, and those rung for by an overtaking message."""

    def __init__(self) -> None:
        self.rung: list[str] = []
        self.overtaking: list[str] = []

    def ring(self, lane: str, *, is_overtaking: bool = False) -> bool:
        self.rung.append(lane)
        if is_overtaking:
            self.overtaking.append(lane)
        return True
