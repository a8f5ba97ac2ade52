"""A doorbell for tests, which records the rings."""


class MemoryDoorbell:
    """Keeps which lanes were rung for, in order, and which of them urgently."""

    def __init__(self) -> None:
        self.rung: list[str] = []
        self.urgent: list[str] = []

    def ring(self, lane: str, *, is_urgent: bool = False) -> bool:
        self.rung.append(lane)
        if is_urgent:
            self.urgent.append(lane)
        return True
