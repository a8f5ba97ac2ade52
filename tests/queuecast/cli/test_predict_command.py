"""`queuecast predict` without -o: rows in, answers on stdout."""

import json
from pathlib import Path

import pytest

from tests.queuecast.cli.command_line import (
    MODEL,
    PREDICT,
    PREDICTED,
    SCHEMA,
    inputs_sent,
    lines,
    run,
)
from tests.queuecast.scripted_gateway import Answer, ScriptedGateway, job


def test_csv_cells_get_the_types_of_the_schema(titanic: ScriptedGateway, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    text = "age,sibsp,ticket,alone,port\n29,1.0,007,True,S\n4.5,2,true,,\n,3,A/5 1,false,C\nold,4,,NaN,S\n"
    path.write_text("\ufeff" + text)

    result = run(titanic, "predict", "titanic", str(path))

    assert result.exit_code == 0, result.stderr
    assert inputs_sent(titanic) == [
        {"age": 29, "sibsp": 1, "ticket": "007", "alone": True, "port": "S"},
        {"age": 4.5, "sibsp": 2, "ticket": "true", "alone": None, "port": None},
        {"age": None, "sibsp": 3, "ticket": "A/5 1", "alone": False, "port": "C"},
        {"age": "old", "sibsp": 4, "ticket": None, "alone": None, "port": "S"},
    ]


def test_the_gateway_gets_the_names_of_extra_columns_and_their_note_is_on_stderr(
    gateway: ScriptedGateway, tmp_path: Path
) -> None:
    gateway.on(SCHEMA, {"type": "object", "properties": {"age": {"type": "number"}}})
    gateway.on(PREDICT, PREDICTED | {"ignored_columns": {"names": ["survived", "name"], "count": 3}})
    (tmp_path / "rows.csv").write_text('age,survived,name\n29,1,"Allen, Miss"\n30,0,"Li, Mr"\n')

    result = run(gateway, "predict", "titanic", str(tmp_path / "rows.csv"))

    assert inputs_sent(gateway) == [{"age": 29, "survived": None, "name": None}, {"age": 30}]
    note = "note: columns that the model does not have were ignored: survived, name and 1 more"
    assert result.stderr.splitlines() == [note]
    assert "ignored" not in result.stdout


def test_cells_of_a_column_that_the_model_does_not_read_are_not_sent(gateway: ScriptedGateway) -> None:
    unread = {"description": "not read by the model", "x-unread": True}
    gateway.on(SCHEMA, {"type": "object", "properties": {"age": {"type": "number"}, "note": unread}})
    gateway.on(PREDICT, PREDICTED)

    run(gateway, "predict", "titanic", "-", stdin="age,note\n29,x\n30,\n")

    assert inputs_sent(gateway) == [{"age": 29}, {"age": 30}]


def test_extra_columns_are_refused_on_demand(titanic: ScriptedGateway) -> None:
    run(titanic, "predict", "titanic", "--extra-columns", "refuse", "-", stdin="age,note\n29,x\n")

    assert [request.json["extra_columns"] for request in titanic.requests_to(PREDICT)] == ["refuse"]


def test_extra_columns_of_lists_are_judged_by_the_command(gateway: ScriptedGateway) -> None:
    gateway.on(SCHEMA, {"type": "array", "prefixItems": [{"type": "number"}]})
    gateway.on(PREDICT, PREDICTED)

    ignored = run(gateway, "predict", "titanic", "-", stdin="x0,note\n29,x\n")
    refused = run(gateway, "predict", "titanic", "--extra-columns", "refuse", "-", stdin="x0,note\n29,x\n")

    assert inputs_sent(gateway) == [[29]]
    assert ignored.stderr.splitlines() == ["note: a column that the model does not have was ignored: note"]
    assert (refused.exit_code, refused.stderr.splitlines()) == (
        1,
        ["Error: found the column note, expected only columns that the model has"],
    )


@pytest.mark.parametrize("text", ["x0,x1\n1,007\n,b\n", "x0,x1\r\n1,007\r\n\r\n,b\r\n"])
def test_a_model_without_column_names_gets_lists(gateway: ScriptedGateway, text: str) -> None:
    gateway.on(SCHEMA, {"type": "array", "prefixItems": [{"type": ["number", "null"]}, {"type": "string"}]})
    gateway.on(PREDICT, PREDICTED)

    run(gateway, "predict", "titanic", "-", stdin=text)

    assert inputs_sent(gateway) == [[1, "007"], [None, "b"]]


def test_a_first_line_of_numbers_is_a_header_as_in_a_batch_and_a_note_says_so(gateway: ScriptedGateway) -> None:
    gateway.on(SCHEMA, {"type": "array", "prefixItems": [{"type": "number"}, {"type": "number"}]})
    gateway.on(PREDICT, PREDICTED)

    counted = run(gateway, "predict", "titanic", "-", stdin="0,1\n3,4\n")
    odd = run(gateway, "predict", "titanic", "-", stdin="1.5,-2e3\n3,4\n")

    assert [request.json["inputs"] for request in gateway.requests_to(PREDICT)] == [[[3, 4]], [[3, 4]]]
    assert (counted.stderr, odd.stderr) == ("", "note: the first line was read as column names: 1.5,-2e3\n")


def test_without_a_schema_cells_are_sent_as_they_are(gateway: ScriptedGateway) -> None:
    gateway.on(PREDICT, PREDICTED)

    run(gateway, "predict", "titanic", "-", stdin="a,b\n1,nan\n")

    assert inputs_sent(gateway) == [{"a": "1", "b": "nan"}]


@pytest.mark.parametrize("kind", ["object", "array"])
def test_a_duplicate_column_is_refused_before_anything_is_predicted(gateway: ScriptedGateway, kind: str) -> None:
    gateway.on(SCHEMA, {"type": kind, "properties": {"age": {}}, "prefixItems": [{}, {}]})

    result = run(gateway, "predict", "titanic", "-", stdin="age,age\n29,4\n")

    assert (result.exit_code, gateway.requests_to(PREDICT)) == (1, [])
    assert result.stderr == "Error: the column 'age' is in the file more than once\n"


def test_the_schema_of_the_requested_version_is_used(gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/models/titanic", MODEL)
    gateway.on("GET /v1/models/titanic/versions/4/schema", {"type": "object", "properties": {"a": {"type": "string"}}})
    gateway.on(PREDICT, PREDICTED)

    run(gateway, "predict", "titanic", "-", "--version", "challenger", stdin="a\n1\n")

    assert gateway.only_request(PREDICT).json["inputs"] == [{"a": "1"}]
    assert gateway.only_request(PREDICT).json["version"] == "challenger"


def test_a_row_shorter_than_the_header_is_refused_with_its_line(titanic: ScriptedGateway) -> None:
    result = run(titanic, "predict", "titanic", "-", stdin='age,ticket\n29,"two\nlines"\n4\n')

    assert result.exit_code == 1
    assert result.stderr == "Error: line 4 has 1 cells, expected 2 as in the header\n"
    assert titanic.requests_to(PREDICT) == []


@pytest.mark.parametrize("source", ["rows.json", "-"])
def test_json_rows_are_sent_as_they_are(gateway: ScriptedGateway, tmp_path: Path, source: str) -> None:
    text = '[{"age": 29, "cabin": null}]'
    (tmp_path / "rows.json").write_text(text)
    gateway.on(PREDICT, PREDICTED)

    run(gateway, "predict", "titanic", "-" if source == "-" else str(tmp_path / source), stdin=text)

    assert inputs_sent(gateway) == [{"age": 29, "cabin": None}]
    assert len(gateway.requests) == 1


ODD_BREAKS = "\u2028\u0085\x0b\x0c\x1c"


@pytest.mark.parametrize("name", ["rows.ndjson", "-"])
def test_only_a_newline_ends_a_line_of_ndjson(gateway: ScriptedGateway, tmp_path: Path, name: str) -> None:
    text = '{"note": "a\u2028\u0085b"}\r\n\n{"note": "c"}\n'
    (tmp_path / "rows.ndjson").write_bytes(text.encode())
    gateway.on(PREDICT, PREDICTED)

    run(gateway, "predict", "titanic", "-" if name == "-" else str(tmp_path / name), stdin=text.encode())

    assert inputs_sent(gateway) == [{"note": "a\u2028\u0085b"}, {"note": "c"}]


def test_a_line_of_ndjson_that_is_no_row_is_refused_with_its_number(gateway: ScriptedGateway, tmp_path: Path) -> None:
    (tmp_path / "rows.ndjson").write_text('{"age": 29}\n{"age": 29}, {"age": 4}\n')

    result = run(gateway, "predict", "titanic", str(tmp_path / "rows.ndjson"))

    assert (result.exit_code, gateway.requests) == (1, [])
    assert "line 2 is not a JSON object, list or text" in result.stderr


@pytest.mark.parametrize("source", ["rows.csv", "-"])
def test_a_csv_record_ends_where_the_worker_ends_it(titanic: ScriptedGateway, tmp_path: Path, source: str) -> None:
    text = f'\ufeffticket,age\r\n"two\r\nlines",1\r\nodd{ODD_BREAKS}one,2\rafter a return,3\n'
    (tmp_path / "rows.csv").write_bytes(text.encode())

    run(titanic, "predict", "titanic", "-" if source == "-" else str(tmp_path / source), stdin=text.encode())

    tickets = [row["ticket"] for row in inputs_sent(titanic)]
    assert tickets == ["two\r\nlines", f"odd{ODD_BREAKS}one", "after a return"]


def test_one_list_per_line_can_be_piped(gateway: ScriptedGateway) -> None:
    gateway.on(PREDICT, PREDICTED)

    run(gateway, "predict", "titanic", "-", stdin="[1, 2]\n[3, 4]\n")

    assert inputs_sent(gateway) == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("rows.csv", "naïve\n".encode("latin-1"), "rows.csv: byte 2 is not UTF-8; save the file as UTF-8"),
        ("rows.csv.gz", b"\x1f\x8b\x08", "rows.csv.gz: byte 1 is not UTF-8; save the file as UTF-8"),
        ("rows.csv", b"PAR1\x15\x04", "rows.csv holds Parquet, expected CSV, JSON or NDJSON"),
        ("rows.parquet", b"PAR1\x15\x04", "rows.parquet is a Parquet file, expected CSV, JSON or NDJSON; -o answers"),
        ("rows.csv", b'ticket\n"' + b"x" * 200_000, "line 2 cannot be read as CSV: field larger than"),
    ],
    ids=["latin-1", "gzip", "parquet as csv", "parquet", "endless"],
)
def test_a_file_with_other_content_is_refused_with_its_name(
    titanic: ScriptedGateway, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)

    result = run(titanic, "predict", "titanic", str(tmp_path / name))

    assert (result.exit_code, titanic.requests_to(PREDICT)) == (1, [])
    assert words in result.stderr


def test_single_rows_can_be_given_as_options(gateway: ScriptedGateway) -> None:
    gateway.on(PREDICT, PREDICTED)

    run(gateway, "predict", "titanic", "--row", '{"age": 29}', "--row", '{"age": 4}', "--version", "2")

    assert inputs_sent(gateway) == [{"age": 29}, {"age": 4}]
    assert gateway.only_request(PREDICT).json["version"] == 2


@pytest.mark.parametrize("row", ["{age: 29}", "29"])
def test_a_row_option_that_is_no_row_is_refused(gateway: ScriptedGateway, row: str) -> None:
    result = run(gateway, "predict", "titanic", "--row", row)

    assert result.exit_code == 1
    assert "JSON" in result.stderr
    assert gateway.requests == []


def test_a_prediction_is_a_table_with_the_version_below_it(titanic: ScriptedGateway) -> None:
    result = run(titanic, "predict", "titanic", "--row", "{}")

    assert lines(result.stdout)[:3] == [["ROW", "PREDICT"], ["0", "died"], ["1", "lived"]]
    assert "2 rows predicted by titanic version 3 in 4.2 ms" in result.stdout


def test_probabilities_have_a_column_for_each_class(gateway: ScriptedGateway) -> None:
    outcome = {
        "method": "predict_proba",
        "probabilities": [[0.25, 0.75]],
        "classes": [0, 1],
        "model": {"name": "titanic", "version": 3},
        "timings": {},
    }
    gateway.on(PREDICT, job("succeeded", result=outcome))

    result = run(gateway, "predict", "titanic", "--row", "{}", "--method", "predict_proba")

    assert lines(result.stdout)[:2] == [["ROW", "0", "1"], ["0", "0.25", "0.75"]]


def test_a_word_in_brackets_is_printed_as_it_is(gateway: ScriptedGateway) -> None:
    outcome = PREDICTED["result"] | {"predictions": ["[red]", ":smile:"]}
    gateway.on(PREDICT, job("succeeded", result=outcome))

    result = run(gateway, "predict", "titanic", "--row", "{}")

    assert lines(result.stdout)[1:3] == [["0", "[red]"], ["1", ":smile:"]]


def test_json_prints_the_job_and_nothing_else_on_stdout(titanic: ScriptedGateway) -> None:
    result = run(titanic, "predict", "titanic", "--row", "{}", "--json")

    assert json.loads(result.stdout) == PREDICTED


def test_no_wait_prints_the_id_only(gateway: ScriptedGateway) -> None:
    gateway.on(PREDICT, Answer(job(), 202))

    result = run(gateway, "predict", "titanic", "--row", "{}", "--no-wait")

    assert result.stdout == "job_1\n"
    assert "prefer" not in gateway.only_request(PREDICT).headers
    assert len(gateway.requests) == 1


OF_TEXTS = {"type": "string", "x-column": "review"}


@pytest.mark.parametrize("header", ["review,id", "q", "id,review"])
def test_the_texts_of_a_csv_file_are_those_of_the_models_column_or_of_the_only_one(
    gateway: ScriptedGateway, tmp_path: Path, header: str
) -> None:
    gateway.on(SCHEMA, OF_TEXTS)
    gateway.on(PREDICT, PREDICTED)
    cells = {"id": "7", "review": '"two\nlines, ""NA"""', "q": '"two\nlines, ""NA"""'}
    row = ",".join(cells[name] for name in header.split(","))
    (tmp_path / "rows.csv").write_text(f"{header}\n{row}\n")

    result = run(gateway, "predict", "titanic", str(tmp_path / "rows.csv"))

    assert result.exit_code == 0, result.stderr
    assert inputs_sent(gateway) == ['two\nlines, "NA"']


def test_a_csv_file_without_the_column_of_the_texts_is_refused(gateway: ScriptedGateway) -> None:
    gateway.on(SCHEMA, OF_TEXTS)

    result = run(gateway, "predict", "titanic", "-", stdin="a,b\n1,2\n")

    assert result.exit_code == 1
    assert "the file has no column 'review'; the texts are expected in it, or in the only column" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (("--lines", "-"), "a text\r\n\nNA\n"),
        (("-",), '["a text", "NA"]'),
        (("--row", '"a text"', "--row", '"NA"'), None),
    ],
)
def test_texts_can_be_typed(gateway: ScriptedGateway, arguments: tuple[str, ...], stdin: str | None) -> None:
    gateway.on(PREDICT, PREDICTED)

    result = run(gateway, "predict", "titanic", *arguments, stdin=stdin)

    assert result.exit_code == 0, result.stderr
    assert inputs_sent(gateway) == ["a text", "NA"]


@pytest.mark.parametrize(("name", "content"), [("rows.txt", "a text\nNA"), ("rows.ndjson", '"a text"\n"NA"\n')])
def test_a_file_of_texts_has_one_per_line(gateway: ScriptedGateway, tmp_path: Path, name: str, content: str) -> None:
    gateway.on(PREDICT, PREDICTED)
    (tmp_path / name).write_text(content)

    run(gateway, "predict", "titanic", str(tmp_path / name))

    assert inputs_sent(gateway) == ["a text", "NA"]


def test_lines_cannot_be_sent_as_a_batch(gateway: ScriptedGateway, tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_text("a text\n")

    result = run(gateway, "predict", "titanic", str(tmp_path / "rows.txt"), "--lines", "-o", str(tmp_path / "to.csv"))

    assert result.exit_code == 2
    assert "--lines needs ROWS, and cannot be used with -o" in result.stderr
