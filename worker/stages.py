"""The progress of a run that goes through named stages."""

from queuecast.domain.job import Progress


def stage_progress(stages: tuple[str, ...], stage: str, rows: int | None = None) -> Progress:
    """The run has finished the stages before `stage`. rows: how many it works on in this one."""
    return Progress(stages.index(stage), len(stages), "stages", stage, rows)
