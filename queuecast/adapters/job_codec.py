"""Jobs and work as JSON bytes, for the store in Redis and the one in memory."""

from collections.abc import Callable

import msgspec

from queuecast.adapters.stored_form import StoredForm
from queuecast.domain.errors import GoneJobError, UnknownJobError
from queuecast.domain.job import Job, JobType
from queuecast.domain.work import BatchWork, ChunkWork, EvaluationWork, ImportWork, PredictionWork, TrainingWork, Work

_CHUNK_WORK = StoredForm(ChunkWork, {"file_range": "cut"})
_decode_work: dict[JobType, Callable[[bytes], Work]] = {
    JobType.PREDICTION: msgspec.json.Decoder(PredictionWork).decode,
    JobType.TRAINING: msgspec.json.Decoder(TrainingWork).decode,
    JobType.IMPORT: msgspec.json.Decoder(ImportWork).decode,
    JobType.BATCH: msgspec.json.Decoder(BatchWork).decode,
    JobType.EVALUATION: msgspec.json.Decoder(EvaluationWork).decode,
    JobType.CHUNK: _CHUNK_WORK.decode,
}
_job_decoder = msgspec.json.Decoder(Job)
_encoder = msgspec.json.Encoder()


def encode(record: Job | Work) -> bytes:
    return _CHUNK_WORK.encode(record) if isinstance(record, ChunkWork) else _encoder.encode(record)


def decode_job(data: bytes) -> Job:
    return _job_decoder.decode(data)


def decode_work(kind: JobType, data: bytes) -> Work:
    return _decode_work[kind](data)


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
