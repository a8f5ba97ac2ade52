"""The models that the processes of workers have loaded, in memory, for tests."""

from queuecast.ports.workers import ProcessModels


class MemoryLoadedModels:
    """No process drops off."""

    def __init__(self) -> None:
        self._reports: dict[str, ProcessModels] = {}

    def report_models(self, process: str, models: ProcessModels) -> None:
        self._reports[process] = models

    def forget_process(self, process: str) -> None:
        self._reports.pop(process, None)

    def loaded_models(self) -> dict[str, ProcessModels]:
        return dict(self._reports)
