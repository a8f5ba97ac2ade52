"""Jobs and work as JSON bytes, for the store in Redis and the one in memory."""

import msgspec

from queuecast.domain.errors import GoneJobError, UnknownJobError
from queuecast.domain.job import Job, JobType
from queuecast.domain.work import BatchWork, ChunkWork, ImportWork, PredictionWork, TrainingWork, Work

_WORK_TYPES: dict[JobType, type[Work]] = {
    JobType.PREDICTION: PredictionWork,
    JobType.TRAINING: TrainingWork,
    JobType.IMPORT: ImportWork,
    JobType.BATCH: BatchWork,
    JobType.CHUNK: ChunkWork,
}
_job_decoder = msgspec.json.Decoder(Job)
_work_decoders = {kind: msgspec.json.Decoder(work) for kind, work in _WORK_TYPES.items()}
_encoder = msgspec.json.Encoder()


def encode(record: Job | Work) -> bytes:
    return _encoder.encode(record)


def decode_job(data: bytes) -> Job:
    return _job_decoder.decode(data)


def decode_work(kind: JobType, data: bytes) -> Work:
    return _work_decoders[kind].decode(data)


def decode_all(record: bytes | None, work: bytes | None, rows: bytes | None) -> tuple[Job, Work, bytes] | None:
    """None when something is missing or cannot be decoded; `decode_job` and `decode_work` raise and say why."""
    if record is None or work is None:
        return None
    try:
        job = decode_job(record)
        return job, decode_work(job.type, work), rows or b""
    except msgspec.MsgspecError:
        return None


def unknown_job(job_id: str) -> UnknownJobError:
    return UnknownJobError(f"no job {job_id[:80]!r}; ended jobs are kept for a while only")


def gone_job(job_id: str) -> GoneJobError:
    return GoneJobError(f"job {job_id} has ended, and its record was deleted or is past its retention")
