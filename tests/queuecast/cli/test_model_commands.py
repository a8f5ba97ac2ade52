"""`queuecast push`, `train`, `models`, `promote` and `rollback`."""

import json
import re
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.queuecast.cli.command_line import (
    JOB,
    MODEL,
    TRAINED,
    lines,
    manifest,
    run,
)
from tests.queuecast.scripted_gateway import Answer, ScriptedGateway, job, parts_of

# push and train


def pushed(gateway: ScriptedGateway, tmp_path: Path, *options: str, promoted: bool = True) -> Result:
    outcome = {"model": "titanic", "version": 1, "promoted": promoted, "methods": ["predict", "predict_proba"]}
    gateway.on("POST /v1/models/titanic/versions", Answer(job(type="import"), 202))
    gateway.on(JOB, job("succeeded", revision=2, type="import", result=outcome))
    (tmp_path / "m.skops").write_bytes(b"PK\x03\x04 model")
    (tmp_path / "rows.csv").write_text("age\n29\n")
    files = [str(tmp_path / "m.skops"), "--example", str(tmp_path / "rows.csv")]
    return run(gateway, "push", "titanic", *files, *options)


def test_push_waits_for_the_import_and_prints_its_outcome(gateway: ScriptedGateway, tmp_path: Path) -> None:
    result = pushed(gateway, tmp_path)

    assert result.exit_code == 0, result.stderr
    assert result.stdout == "Imported titanic version 1 as champion (methods: predict, predict_proba)\n"


def test_a_push_that_cannot_be_compared_says_why(gateway: ScriptedGateway, tmp_path: Path) -> None:
    (line,) = pushed(gateway, tmp_path).stderr.splitlines()

    assert line.startswith("note: m.skops is not compared with where it was fitted: ")


def test_a_push_that_was_not_promoted_shows_the_promote_command(gateway: ScriptedGateway, tmp_path: Path) -> None:
    assert "queuecast promote titanic 1" in pushed(gateway, tmp_path, promoted=False).stdout


def test_push_sends_targets_split_and_description(gateway: ScriptedGateway, tmp_path: Path) -> None:
    pushed(gateway, tmp_path, "--target", "survived", "--holdout", "--description", "first")

    request = gateway.only_request("POST /v1/models/titanic/versions")
    form = message_from_bytes(f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode() + request.body)
    fields = {part.get_param("name", header="content-disposition"): part for part in form.get_payload()}
    assert json.loads(fields["metadata"].get_payload()) == {
        "target": ["survived"],
        "holdout": {"method": "rowhash-v2", "fraction": 0.2, "columns": []},
        "description": "first",
    }


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--holdout-method", "rowhash-v1"], {"method": "rowhash-v1", "fraction": 0.2, "columns": []}),
        (["--holdout", "--holdout-fraction", "0.3"], {"method": "rowhash-v2", "fraction": 0.3, "columns": []}),
        (
            ["--holdout-column", "age", "--holdout-column", "sex", "--holdout-method", "rowhash-v2"],
            {"method": "rowhash-v2", "fraction": 0.2, "columns": ["age", "sex"]},
        ),
    ],
    ids=["method", "fraction", "columns"],
)
def test_push_names_the_split_that_the_model_was_fitted_without(
    gateway: ScriptedGateway, tmp_path: Path, options: list[str], expected: dict[str, Any]
) -> None:
    pushed(gateway, tmp_path, *options)

    _, metadata = parts_of(gateway.only_request("POST /v1/models/titanic/versions"))["metadata"]
    assert json.loads(metadata)["holdout"] == expected


@pytest.mark.parametrize("option", [["--holdout-method", "rowhash-v3"], ["--holdout-fraction", "1"]])
def test_push_knows_the_rules_of_a_split(gateway: ScriptedGateway, tmp_path: Path, option: list[str]) -> None:
    assert pushed(gateway, tmp_path, *option).exit_code == 2
    assert gateway.requests == []


def test_push_refuses_a_pickle_with_the_command_that_converts_it(gateway: ScriptedGateway, tmp_path: Path) -> None:
    (tmp_path / "m.joblib").write_bytes(b"\x80\x04")
    (tmp_path / "rows.csv").write_text("age\n29\n")

    result = run(gateway, "push", "t", str(tmp_path / "m.joblib"), "--example", str(tmp_path / "rows.csv"))

    assert result.exit_code == 1
    assert "sio.dump(joblib.load(" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert gateway.requests == []


def trained(gateway: ScriptedGateway, tmp_path: Path, *options: str, **outcome: Any) -> Result:
    gateway.on("POST /v1/files", Answer({"id": "file_1"}, 201))
    gateway.on("POST /v1/models/titanic/trainings", Answer(job(type="training"), 202))
    gateway.on(JOB, job("succeeded", revision=2, type="training", result=TRAINED | outcome))
    (tmp_path / "titanic.csv").write_text("age,survived\n29,1\n")
    return run(gateway, "train", "titanic", str(tmp_path / "titanic.csv"), "--target", "survived", *options)


def test_train_shows_both_scores_and_the_verdict(gateway: ScriptedGateway, tmp_path: Path) -> None:
    result = trained(gateway, tmp_path)

    assert [re.split(r"  +", line.strip()) for line in result.stdout.splitlines()[:3]] == [
        ["METRIC", "CHAMPION 3", "CHALLENGER 4", "DIFFERENCE", "95 % INTERVAL"],
        ["neg_log_loss", "-0.4512", "-0.4421", "+0.0091", "+0.002 to +0.0162"],
        ["accuracy", "0.8125", "0.8343", "+0.0218", "? to ?"],
    ]
    assert "Fitted on 713 rows, compared on 178 held-out rows: better" in result.stdout
    assert "Promoted titanic version 4 to champion" in result.stdout


def test_rows_that_a_training_left_out_are_counted_and_the_first_is_shown(
    gateway: ScriptedGateway, tmp_path: Path
) -> None:
    bad = {"row": 7, "column": "age", "code": "wrong_type", "detail": "found 'x', expected a number"}
    gateway.on("GET /v1/jobs/job_1/errors", Answer(json.dumps(bad).encode(), 200))
    rows = {"train": 713, "holdout": 178, "bad": 2}

    result = trained(gateway, tmp_path, "--on-error", "skip", rows=rows, bad_cells=[bad])

    assert gateway.only_request("POST /v1/models/titanic/trainings").json["on_error"] == "skip"
    assert "Fitted on 713 rows" in result.stdout
    assert result.stderr.splitlines()[-2:] == [
        "2 rows were bad and were left out; to download them: queuecast jobs wait job_1 --errors errors.ndjson",
        "the first bad row: row 7, column age: found 'x', expected a number",
    ]


def test_mode_and_search_are_sent(gateway: ScriptedGateway, tmp_path: Path) -> None:
    search = {"param_distributions": {"model__C": [0.1, 1]}, "n_candidates": 2}
    (tmp_path / "search.json").write_text(json.dumps(search))
    gateway.on("GET /v1/models/titanic", Answer({"aliases": {"champion": 3}}))
    gateway.on("GET /v1/models/titanic/versions/3", Answer(manifest(3, params=["model__C"])))

    for value in (json.dumps(search), str(tmp_path / "search.json")):
        trained(gateway, tmp_path, "--mode", "update", "--search", value)

    sent = [each.json for each in gateway.requests if each.path.endswith("/trainings")]
    assert [(each["mode"], each["search"]) for each in sent] == [("update", search)] * 2


@pytest.mark.parametrize(
    ("search", "words"),
    [
        ("{1}", "{1} has no JSON object"),
        ("missing.json", "missing.json has no JSON object"),
        ('{"param_distributions": {"model__c": [1]}}', "'model__C'"),
        ('{"param_distributions": {"model__C": 1}}', "expected a list of values or a range {low, high}"),
        ("{}", "a search needs param_distributions"),
    ],
)
def test_an_unsound_search_is_refused_before_the_upload(
    gateway: ScriptedGateway, tmp_path: Path, search: str, words: str
) -> None:
    gateway.on("GET /v1/models/titanic", Answer({"aliases": {"champion": 3}}))
    gateway.on("GET /v1/models/titanic/versions/3", Answer(manifest(3, params=["model__C"])))

    result = trained(gateway, tmp_path, "--search", search)

    assert result.exit_code != 0
    assert words in " ".join(result.stderr.split())
    assert [each for each in gateway.requests if each.path.endswith(("/files", "/trainings"))] == []


def test_findings_about_the_data_are_shown(gateway: ScriptedGateway, tmp_path: Path) -> None:
    finding = {"code": "frozen_parts", "severity": "info", "detail": "the part 'scale' is frozen", "column": None}

    result = trained(gateway, tmp_path, findings=[finding], findings_total=2)

    assert "Info: the part 'scale' is frozen\n... and 1 more finding\n" in result.stdout


def test_jobs_wait_writes_the_rows_that_a_training_left_out(gateway: ScriptedGateway, tmp_path: Path) -> None:
    trained(gateway, tmp_path, rows={"train": 713, "holdout": 178, "bad": 1})
    gateway.on("GET /v1/jobs/job_1/errors", Answer(b'{"row":7}\n', 200))

    result = run(gateway, "jobs", "wait", "job_1", "--errors", str(tmp_path / "bad.ndjson"))

    assert (tmp_path / "bad.ndjson").read_bytes() == b'{"row":7}\n'
    assert "Fitted on 713 rows" in result.stdout
    assert result.stderr.splitlines()[-1] == f"1 row was bad and was left out: {tmp_path}/bad.ndjson"
    answers = run(gateway, "jobs", "wait", "job_1", "-o", str(tmp_path / "out.csv"))
    assert answers.stderr == "Error: job_1 is a training; -o downloads the answers of a batch\n"


def test_a_training_of_a_release_without_intervals_shows_its_scores(gateway: ScriptedGateway, tmp_path: Path) -> None:
    result = trained(gateway, tmp_path, scores=[], criteria=[])

    assert lines(result.stdout)[1] == ["accuracy", "0.8125", "0.8343", "-", "-"]


def test_criteria_that_failed_are_shown(gateway: ScriptedGateway, tmp_path: Path) -> None:
    failed = {"name": "rows", "outcome": "incomparable", "detail": "1 rows are held out"}
    passed = {"name": "classes", "outcome": "passed", "detail": "the same classes"}

    result = trained(gateway, tmp_path, criteria=[failed, passed], verdict="incomparable", promoted=False)

    assert "incomparable: 1 rows are held out" in result.stdout
    assert "the same classes" not in result.stdout


def test_the_settings_of_the_gate_come_from_a_file(gateway: ScriptedGateway, tmp_path: Path) -> None:
    (tmp_path / "gate.json").write_text('{"metric": "roc_auc", "min_rows": 50}')

    trained(gateway, tmp_path, "--gate", str(tmp_path / "gate.json"))

    request = gateway.only_request("POST /v1/models/titanic/trainings").json
    assert request["gate"] == {"metric": "roc_auc", "min_rows": 50}


def test_a_file_without_settings_of_the_gate_is_refused_before_the_upload(
    gateway: ScriptedGateway, tmp_path: Path
) -> None:
    (tmp_path / "gate.json").write_text("[1]")

    result = trained(gateway, tmp_path, "--gate", str(tmp_path / "gate.json"))

    assert result.exit_code == 2
    assert "gate.json has no JSON object" in result.stderr
    assert gateway.requests == []


def test_a_training_takes_several_files_and_the_roles_of_their_columns(
    gateway: ScriptedGateway, tmp_path: Path
) -> None:
    (tmp_path / "more.ndjson").write_text("{}")
    more = str(tmp_path / "more.ndjson")

    trained(gateway, tmp_path, more, "--weight", "w", "--group", "g", "--time", "t", "--id", "i")

    request = gateway.only_request("POST /v1/models/titanic/trainings").json
    assert (request["file_ids"], request["weight_column"]) == (["file_1", "file_1"], "w")
    assert (request["group_column"], request["time_column"], request["id_column"]) == ("g", "t", "i")


def test_a_training_that_was_not_promoted_says_why(gateway: ScriptedGateway, tmp_path: Path) -> None:
    result = trained(gateway, tmp_path, verdict="worse", promoted=False, reason="0.79 against 0.81, worse")

    assert result.exit_code == 0
    assert "Did not promote titanic version 4: 0.79 against 0.81, worse" in result.stdout


def test_parameters_are_json_python_constants_or_strings(gateway: ScriptedGateway, tmp_path: Path) -> None:
    given = ["C=0.5", "model__fit_intercept=True", "solver=lbfgs", "n_jobs=None", "layers=[5, 2]", "x=a=b", "y=NaN"]

    trained(gateway, tmp_path, *(word for pair in given for word in ("--param", pair)), "--promote", "never")

    request = gateway.only_request("POST /v1/models/titanic/trainings").json
    assert request["params"] == {
        "C": 0.5,
        "model__fit_intercept": True,
        "solver": "lbfgs",
        "n_jobs": None,
        "layers": [5, 2],
        "x": "a=b",
        "y": "NaN",
    }
    assert (request["target"], request["promote"]) == ("survived", "never")


# models


def test_models_shows_champions_and_other_aliases(gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/models", {"data": [MODEL], "next_cursor": None})

    result = run(gateway, "models")

    assert lines(result.stdout)[1] == ["titanic", "3", "4", "4", "3/4", "challenger", "4"]


def _workers(on_champion: int, total: int, generation: int | None) -> dict[str, Any]:
    return MODEL | {"workers": {"on_champion": on_champion, "total": total, "generation": generation}}


@pytest.mark.parametrize(
    ("model", "line"),
    [
        (_workers(3, 4, 6), "3 of 4 workers have loaded the champion, version 3 (generation 6 of 7)"),
        (_workers(1, 1, 7), "1 of 1 worker has loaded the champion, version 3 (generation 7)"),
        (_workers(0, 0, None), "no worker has loaded the champion, version 3, yet"),
    ],
)
def test_versions_are_listed_with_the_workers_that_have_loaded_the_champion(
    gateway: ScriptedGateway, model: dict[str, Any], line: str
) -> None:
    gateway.on("GET /v1/models/titanic", model)
    gateway.on("GET /v1/models/titanic/versions", {"data": [manifest(3)], "next_cursor": None})

    result = run(gateway, "models", "titanic")

    assert line in result.stderr.splitlines()


def test_a_gateway_of_an_earlier_version_says_nothing_about_workers(gateway: ScriptedGateway) -> None:
    model = {name: value for name, value in MODEL.items() if name != "workers"}
    gateway.on("GET /v1/models/titanic", model)
    gateway.on("GET /v1/models/titanic/versions", {"data": [manifest(3, compared_rows=9)], "next_cursor": None})
    gateway.on("GET /v1/models", {"data": [model], "next_cursor": None})

    assert run(gateway, "models", "titanic").stderr == ""
    assert lines(run(gateway, "models").stdout)[1] == ["titanic", "3", "4", "4", "-", "challenger", "4"]


def test_versions_are_listed_with_scores_and_aliases(gateway: ScriptedGateway) -> None:
    metrics = {"metric": "accuracy", "challenger": 0.8343, "champion": 0.8125}
    gateway.on("GET /v1/models/titanic", MODEL)
    gateway.on(
        "GET /v1/models/titanic/versions",
        {"data": [manifest(4, source="training", metrics=metrics), manifest(3)], "next_cursor": None},
    )

    result = run(gateway, "models", "titanic")

    rows = lines(result.stdout)
    assert rows[1][:7] == ["4", "challenger", "accuracy", "0.8343", "training", "20", "KiB"]
    assert rows[2][:5] == ["3", "champion", "-", "push", "20"]


def test_a_pushed_version_that_was_not_compared_is_named(gateway: ScriptedGateway) -> None:
    versions = [
        manifest(4, source="training"),
        manifest(3, compared_rows=200),
        manifest(2),
        manifest(1, compared_rows=0),
    ]
    gateway.on("GET /v1/models/titanic", MODEL)
    gateway.on("GET /v1/models/titanic/versions", {"data": versions, "next_cursor": None})

    result = run(gateway, "models", "titanic")

    assert "versions 2, 1: not compared with where it was fitted" in result.stderr


def test_a_pipeline_is_shortened_to_its_first_and_last_class(gateway: ScriptedGateway) -> None:
    pipeline = "Pipeline(steps=[('scaler', StandardScaler()), ('model', LogisticRegression(C=0.1))])"
    gateway.on("GET /v1/models/titanic", MODEL)
    gateway.on(
        "GET /v1/models/titanic/versions",
        {"data": [manifest(2, estimator=pipeline), manifest(1, estimator="SVC(C=2)")], "next_cursor": None},
    )

    result = run(gateway, "models", "titanic")

    assert [row[-1] for row in lines(result.stdout)] == ["ESTIMATOR", "LogisticRegression", "SVC(C=2)"]
    assert "Pipeline ... LogisticRegression" in result.stdout


def test_promote_moves_the_given_alias(gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/models/titanic", Answer(MODEL, headers={"ETag": '"7"'}))
    gateway.on("PUT /v1/models/titanic/aliases/shadow", MODEL | {"aliases": {"champion": 3, "shadow": 2}})

    result = run(gateway, "promote", "titanic", "2", "--alias", "shadow", "--reason", "try it")

    assert result.stdout == "titanic: champion is version 3, shadow is version 2\n"
    assert gateway.only_request("PUT /v1/models/titanic/aliases/shadow").json == {"version": 2, "reason": "try it"}


def test_rollback_prints_the_new_champion(gateway: ScriptedGateway) -> None:
    gateway.on("POST /v1/models/titanic/rollback", MODEL | {"aliases": {"champion": 2}})

    result = run(gateway, "rollback", "titanic", "--reason", "worse on Sundays")

    assert result.stdout == "titanic: champion is version 2\n"
    assert gateway.only_request("POST /v1/models/titanic/rollback").json == {"reason": "worse on Sundays"}


# history

MOVE = {
    "generation": 1,
    "alias": "champion",
    "version": 1,
    "previous": None,
    "at": "2026-01-31T12:00:00.000Z",
    "action": "import",
    "reason": "first version",
    "job_id": "job_1",
}
ROLLBACK = MOVE | {"generation": 2, "version": 2, "previous": 1, "action": "rollback", "reason": "", "job_id": None}


def test_history_shows_every_move_with_its_reason(gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/models/titanic/history", {"data": [MOVE, ROLLBACK], "next_cursor": None})

    table = lines(run(gateway, "history", "titanic").stdout)

    assert table[0] == ["AGE", "ALIAS", "VERSION", "BEFORE", "BY", "REASON"]
    assert table[1][2:] == ["champion", "1", "-", "job_1", "first", "version"]
    assert table[2][2:] == ["champion", "2", "1", "rollback"]


def test_history_as_json_is_the_list_of_moves(gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/models/titanic/history", {"data": [MOVE], "next_cursor": None})

    assert json.loads(run(gateway, "history", "titanic", "--json").stdout) == [MOVE]


def test_history_without_a_move_says_so(gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/models/titanic/history", {"data": [], "next_cursor": None})

    assert run(gateway, "history", "titanic").stdout == "no alias of the model has moved yet\n"


def test_history_shows_deletions(gateway: ScriptedGateway) -> None:
    moves = [
        MOVE | {"alias": None, "version": 2, "action": "delete_version", "job_id": None, "reason": "holds names"},
        MOVE | {"alias": None, "version": 4, "action": "delete_model", "job_id": None, "reason": ""},
    ]
    gateway.on("GET /v1/models/titanic/history", {"data": moves, "next_cursor": None})

    table = lines(run(gateway, "history", "titanic").stdout)

    assert table[1][2:] == ["-", "2", "-", "delete_version", "holds", "names"]
    assert table[2][2:] == ["-", "1-4", "-", "delete_model"]
