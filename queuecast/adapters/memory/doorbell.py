"""A doorbell for tests that records the rings."""


class MemoryDoorbell:
    """Records the lanes that were rung for, in order, and those rung for urgently."""

    def __init__(self) -> None:
        self.rung: list[str] = []
        self.urgent: list[str] = []

    def ring(self, lane: str, *, is_urgent: bool = False) -> bool:
        self.rung.append(lane)
        if is_urgent:
            self.urgent.append(lane)
        return True
