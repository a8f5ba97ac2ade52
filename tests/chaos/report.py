"""The report: the faults with their recovery times, the violations with their timelines, and the verdict."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from statistics import median

from tests.chaos.evidence import Evidence
from tests.chaos.history import FINAL, Body
from tests.chaos.plan import REAPER_S
from tests.chaos.recovery import Recovery, seconds
from tests.chaos.violation import KINDS, Violation

MAX_SHOWN = 15  # of recoveries kind


def report(evidence: Evidence, found: list[Violation], exits: Iterable[tuple[str, int]] = ()) -> str:
    lines = ["", *_faults(evidence), "", *_jobs(evidence), *_exits(exits), ""]
    for kind in KINDS:
        of_kind = [violation for violation in found if violation.kind == kind]
        for violation in of_kind[:MAX_SHOWN]:
            lines += [f"{kind.upper():8} {violation.job_id or '-'}  {violation.text}"]
            lines += _timeline(evidence.first_read.get(violation.job_id))
        if len(of_kind) > MAX_SHOWN:
            lines.append(f"         and {len(of_kind) - MAX_SHOWN} more of this kind")
    kinds = Counter(violation.kind for violation in found)
    lines.append(" / ".join(f"{kinds[kind]} {kind}" for kind in KINDS))
    return "\n".join(lines)


def _faults(evidence: Evidence) -> list[str]:
    """`late` counts reruns after more than lease + 5 s, even those that the checks excuse."""
    limit_s = evidence.lease_s + REAPER_S
    by_kind: defaultdict[str, list[Recovery]] = defaultdict(list)
    for recovery in evidence.recoveries:
        by_kind[recovery.fault.kind].append(recovery)
    lines = [
        f"{'fault':18}{'count':>6}{'recovery p50':>14}{'max':>9}{'jobs run again':>16}{'p50':>9}{'max':>9}{'late':>6}"
    ]
    for kind, recoveries in sorted(by_kind.items()):
        canaries = [recovery.canary_s for recovery in recoveries if recovery.canary_s is not None]
        reruns = [wait_s for recovery in recoveries for wait_s in recovery.rerun_s]
        late = sum(wait_s > limit_s for wait_s in reruns)
        n_failed = len(recoveries) - len(canaries)
        failed = f"  {n_failed} not recovered" if n_failed else ""
        columns = (
            f"{kind:18}{len(recoveries):6}{_median_and_max(canaries, 14)}{len(reruns):16}{_median_and_max(reruns, 9)}"
        )
        lines.append(f"{columns}{late:6}{failed}")
    return lines


def _median_and_max(waits_s: list[float], width: int) -> str:
    if not waits_s:
        return f"{'-':>{width}}{'-':>9}"
    return f"{f'{median(waits_s):.2f} s':>{width}}{f'{max(waits_s):.2f} s':>9}"


def _jobs(evidence: Evidence) -> list[str]:
    accepted = evidence.history.accepted()
    ended = Counter((body or {}).get("state", "unknown") for body in evidence.first_read.values())
    types = Counter(submit.type for submit in accepted.values())
    n_rerun = sum((body or {}).get("attempt", 0) > 1 for body in evidence.first_read.values())
    grown_mib = (evidence.end_memory_bytes - evidence.start_memory_bytes) / 2**20
    outcomes = Counter(answer.outcome for answer in evidence.history.answers)
    return [
        f"{evidence.history.size()} submits, {len(accepted)} jobs accepted ({_counted(types)}): {_counted(ended)}; "
        f"{n_rerun} ran more than once",
        f"answers to submits: {_counted(outcomes)}; {len(evidence.versions)} versions, "
        f"{sum(map(len, evidence.moves.values()))} alias moves; "
        f"Redis holds {grown_mib:.2f} MiB more than at the start",
    ]


def _exits(exits: Iterable[tuple[str, int]]) -> list[str]:
    """Processes that exited with an error. The supervisor restarted them, so they are no violation."""
    failed = Counter(f"{name} (exit code {code})" for name, code in exits if code > 0)
    return [f"exited with an error: {_counted(failed)}"] if failed else []


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counter.most_common()) or "none"


def _timeline(body: Body | None) -> list[str]:
    if body is None:
        return []
    events = body.get("timeline") or []
    if not events:
        ending = body["state"] if body["state"] in FINAL else f"{body['state']}, not ended"
        return [f"         {body['type']} {ending}, attempt {body['attempt']}, created {body['created_at']}"]
    start = seconds(events[0]["at"])
    return [
        f"         +{seconds(event['at']) - start:7.2f} s  {event['event']:10} "
        f"{event.get('attempt') or ''} {event.get('worker') or ''} {event.get('detail') or ''}".rstrip()
        for event in events
    ]
