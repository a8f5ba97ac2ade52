"""Outcomes in Redis: a list of rows for each version, a hash with the totals of a model, and fields of a job's hash."""

from collections.abc import Mapping, Sequence

import msgspec
import redis

from queuecast.adapters.redis import keys
from queuecast.adapters.redis.connection import call
from queuecast.adapters.redis.script_loader import Script
from queuecast.domain.errors import ConflictError, UnknownJobError
from queuecast.domain.live.live_rows import WINDOW_ROWS, LiveRow, LiveWindow

_ANSWER = "answer:"


class RedisLiveOutcomes:
    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._add = Script(client, "add_outcomes")
        self._keep = Script(client, "keep_answers")

    def keep_answers(self, version: int, answers: Mapping[str, bytes]) -> None:
        if answers:
            call(self._keep, answers.items(), field=f"{_ANSWER}{version}")

    def kept_answers(self, job_id: str) -> dict[int, bytes]:
        fields = call(self._redis.hkeys, f"{keys.JOB}{job_id}")
        names = [name for name in fields if name.startswith(_ANSWER.encode())]
        if not names:
            return {}
        found = call(self._redis.hmget, f"{keys.JOB}{job_id}", names)
        pairs = zip(names, found, strict=True)
        return {int(name.removeprefix(_ANSWER.encode())): answer for name, answer in pairs if answer is not None}

    def add(self, job_id: str, fingerprint: str, model: str, rows: Mapping[int, Sequence[LiveRow]], now: float) -> bool:
        items = [(version, msgspec.json.encode(row)) for version, of_version in rows.items() for row in of_version]
        live_s = 90 * 24 * 3600
        found = call(
            self._add,
            items,
            job=job_id,
            fingerprint=fingerprint,
            model=model,
            now=now,
            window=WINDOW_ROWS,
            live_s=live_s,
        )
        if found == 0:
            raise UnknownJobError(f"no job {job_id[:80]!r}")
        if found not in (1, fingerprint.encode()):
            raise ConflictError(f"job {job_id} has other outcomes already")
        return bool(found == 1)

    def windows(self, model: str, most: int) -> dict[int, LiveWindow]:
        fields = call(self._redis.hgetall, f"{keys.OUTCOMES}{model}")
        last = {name.removeprefix(b"last:"): float(at) for name, at in fields.items() if name.startswith(b"last:")}
        newest = sorted(last, key=lambda version: -last[version])[:most]
        pipe = self._redis.pipeline(transaction=False)
        for version in newest:
            pipe.lrange(f"{keys.OUTCOME_ROWS}{model}:{version.decode()}", 0, -1)
        found = call(pipe.execute) if newest else []
        return {
            int(version): LiveWindow(_rows(rows), int(fields[b"total:" + version]), last[version])
            for version, rows in zip(newest, found, strict=True)
            if rows
        }


def _rows(rows: list[bytes]) -> tuple[LiveRow, ...]:
    return tuple(msgspec.json.decode(b"[" + b",".join(rows) + b"]"))
