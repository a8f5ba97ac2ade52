"""The page of a report: one file that runs nothing and loads nothing, with every foreign text escaped."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from api.reports.page import SHOWN_TARGETS, Page, evaluation_page, training_page
from queuecast.domain.columns.roles import ColumnRoles
from queuecast.domain.findings.data_findings import DataFinding, DataFindings, Severity
from queuecast.domain.gate import Evaluation, Evidence, GateSettings, RowSet, Score, Speed, decide
from queuecast.domain.reports import (
    ColumnImportance,
    EvaluationFacts,
    EvaluationReport,
    Importance,
    TrainingFacts,
    TrainingReport,
)
from tests.api.reports.sample_reports import (
    class_target,
    evaluated,
    evaluation,
    evaluation_report,
    number_target,
    report,
)

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><script>1</script>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt; ]]> <!--",
]
GEOMETRY = {"d", "x", "y", "x1", "x2", "y1", "y2"}
VOID = {"meta", "link", "br"}


class Parsed(HTMLParser):
    """Elements with their attributes, and the text outside of styles. Fails for tags that do not match."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def attributes(self, name: str) -> list[str | None]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.elements if found == tag]


def page_of(found: TrainingReport | EvaluationReport) -> Page:
    return training_page(found) if isinstance(found, TrainingReport) else evaluation_page(found)


def parsed(found: TrainingReport | EvaluationReport) -> Parsed:
    return Parsed(page_of(found).html)


NOTHING = Evidence(RowSet(0))
EMPTY = Evaluation(GateSettings(), NOTHING, decide(GateSettings(), NOTHING))
SAMPLES = {
    "two classes": report(class_target()),
    "many classes": report(class_target(labels=tuple(f"class {at}" for at in range(31)))),
    "several targets": report(class_target("a"), number_target("b")),
    "numbers": report(number_target()),
    "no facts": report(facts=TrainingFacts(), evaluation=EMPTY),
    "deleted champion": report(versions=report().versions[1:]),
    "evaluation of classes": evaluation_report(evaluated(class_target(), 2)),
    "evaluation of numbers": evaluation_report(evaluated(number_target(), 3), scored=3),
    "evaluation of one version": evaluation_report(evaluated(class_target(), 1), scored=1),
    "evaluation without facts": replace(evaluation_report(), facts=EvaluationFacts()),
}


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_page_runs_nothing_and_loads_nothing(sample: str) -> None:
    page = parsed(SAMPLES[sample])

    tags = {tag for tag, _ in page.elements}
    assert (
        tags & {"script", "iframe", "object", "embed", "form", "base", "img", "image", "use", "foreignobject", "a"}
        == set()
    )
    assert [name for _, attributes in page.elements for name in attributes if name.startswith("on")] == []
    assert page.attributes("href") == ["data:,"]
    assert page.attributes("src") == page.attributes("style") == page.attributes("xlink:href") == []
    assert not re.search(r"url\(|@import|https?:", page_of(SAMPLES[sample]).html)


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_page_is_small(sample: str) -> None:
    assert len(page_of(SAMPLES[sample]).html.encode()) < 300_000


def test_the_largest_page_is_small() -> None:
    long_names = tuple(f"{'&' * 50}{at:010}" for at in range(31))
    targets = tuple(class_target(long_names[at], long_names, points=200) for at in range(SHOWN_TARGETS + 2))
    columns = tuple(ColumnImportance(name, 0.1, 0.1) for name in long_names[:30])
    slices = evaluation(column=long_names[0]).evidence.slices * 400
    found = report(*targets, evaluation=evaluation(slices=slices))
    found = replace(found, facts=replace(found.facts, importance=Importance("r2", 1000, 30, columns)))

    html = training_page(found).html

    assert len(html.encode()) < 300_000
    assert "2 more targets are in the JSON document" in html


@pytest.mark.parametrize("hostile", HOSTILE)
def test_foreign_texts_are_text(hostile: str) -> None:
    names = (hostile, f"{hostile} again")
    found = report(
        class_target(hostile, names),
        number_target(f"{hostile} 2"),
        column=hostile,
        text=hostile,
        evaluation=evaluation(column=hostile, incomparable=hostile),
        reason=hostile,
        target=names,
    )
    found = replace(found, lineage=replace(found.lineage, params={hostile: hostile}))
    plain = parsed(report(class_target(), number_target(), evaluation=evaluation(incomparable="no"), reason="why"))

    page = parsed(found)

    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in plain.elements}
    assert {name for _, each in page.elements for name in each} <= {name for _, each in plain.elements for name in each}
    assert page.text.count(" ".join(hostile.split())) > 10


def test_the_verdict_comes_first() -> None:
    page = parsed(report())

    first = page.text.index("Version 3 is better than version 2 and became champion.")
    assert first < page.text.index("Criteria") < page.text.index("Scores") < page.text.index("Lineage")
    assert "titanic: Version 3 is better than version 2" in page.text


def test_each_criterion_has_its_outcome_value_and_threshold() -> None:
    found = report()

    page = parsed(found)

    for criterion in found.evaluation.decision.criteria:
        assert criterion.detail in page.text
    assert page.text.count("passed") >= 5
    assert "Enough held-out rows 180 100" in page.text


def test_every_drawing_says_in_words_what_it_shows() -> None:
    html = training_page(report(class_target(), number_target())).html

    drawings = re.findall(r"<svg [^>]*role=\"img\"[^>]*><title>(.+?)</title>", html)
    assert len(drawings) == html.count("<svg") > 10
    assert "ROC of class survived: areas, champion: 0.667, challenger: 0.667" in drawings
    assert "neg_log_loss: champion -0.45 (95 % interval -0.5 to -0.4); challenger -0.43" in " ".join(drawings)


def test_the_policy_allows_the_styles_of_the_page_and_nothing_else() -> None:
    page = training_page(report())

    style = re.search("<style>(.*?)</style>", page.html, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert page.policy.startswith("default-src 'none';")
    assert f"style-src 'sha256-{digest}';" in page.policy
    assert "unsafe" not in page.policy


def test_scores_without_bounds_are_drawn() -> None:
    endless = Score(0.1)
    scores = evaluation().evidence.held_out.scores
    found = report(evaluation=evaluation(held_out=RowSet(180, (replace(scores[0], difference=endless), *scores[1:]))))

    page = parsed(found)

    numbers = [value for _, attributes in page.elements for name, value in attributes.items() if name in GEOMETRY]
    assert len(numbers) > 100
    assert not [value for value in numbers if re.search("nan|inf", value or "")]


def test_speeds_and_sizes_have_units() -> None:
    page = parsed(report(evaluation=evaluation(challenger_speed=Speed(2.5, 0.00025, 30_000_000))))

    assert "challenger 2.5 s 250 µs 30 MB" in page.text


def _texts(found: Any) -> str:
    return parsed(found).text


def test_a_retraining_that_was_not_promoted_says_why() -> None:
    text = _texts(report(promoted=False, reason="promote is manual"))

    assert "but it did not become champion." in text
    assert "Promotion: promote is manual ." in text


def test_the_largest_page_of_an_evaluation_is_small() -> None:
    long_names = tuple(f"{'&' * 50}{at:010}" for at in range(31))
    targets = [evaluated(class_target(name, long_names, points=200), 5) for name in long_names[:4]]

    html = evaluation_page(evaluation_report(*targets, scored=10, text="&" * 500)).html

    assert len(html.encode()) < 300_000
    assert "3 more targets are in the JSON document" in html
    assert "those of the first 5 of 10 versions" in html


@pytest.mark.parametrize("hostile", HOSTILE)
def test_foreign_texts_of_an_evaluation_are_text(hostile: str) -> None:
    plain = parsed(evaluation_report(evaluated(class_target(), 2)))

    page = parsed(evaluation_report(evaluated(class_target(hostile, (hostile, f"{hostile} 2")), 2), text=hostile))

    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in plain.elements}
    assert {name for _, each in page.elements for name in each} <= {name for _, each in plain.elements for name in each}
    assert page.text.count(" ".join(hostile.split())) > 5


def test_an_evaluation_shows_each_version_or_why_not() -> None:
    text = parsed(evaluation_report(evaluated(class_target(), 2))).text

    first = text.index("By neg_log_loss on 180 rows, version 2 is better than version 1.")
    assert first < text.index("Scores") < text.index("Not scored") < text.index("Answers") < text.index("Lineage")
    assert "180 rows scored , 3 left out" in text.replace("scored,", "scored ,")
    assert "Version 3 : it was fitted on LogisticRegression()" in text.replace("Version 3:", "Version 3 :")
    assert text.count("Confusion matrix, version") == 2
    assert "few_rows" not in text
    assert "LogisticRegression() has few rows" in text
    assert "the most severe 1 of 21 findings" in text


def test_each_version_of_an_evaluation_has_a_color_of_its_own() -> None:
    page = parsed(evaluation_report(evaluated(class_target(), 4), scored=4))

    lines = {each for each in page.attributes("class") if each and each.startswith("line ")}
    assert lines == {f"line version-{at}" for at in range(4)}


def test_the_findings_of_the_gate_are_shown() -> None:
    first = (DataFinding("leak", Severity.ERROR, "the column 'boat' gives the target away", "boat"),)
    found = report(evaluation=replace(evaluation(), findings=DataFindings(first, 23)))

    text = _texts(found)

    assert "error the column 'boat' gives the target away" in text
    assert "found 23; these are the most severe 1" in text
    assert "age : 2 bad rows of the file left out" in text


@pytest.mark.parametrize(
    ("is_weighted", "weight", "expected"),
    [
        (True, "w", "Curves and calibration are weighted"),
        (False, "w", "Curves and calibration count each row once"),
        (False, None, ""),
    ],
)
def test_a_page_says_whether_its_curves_are_weighted(is_weighted: bool, weight: str | None, expected: str) -> None:
    plain = report()
    lineage = replace(plain.lineage, roles=ColumnRoles(weight))

    text = _texts(replace(plain, facts=replace(plain.facts, is_weighted=is_weighted), lineage=lineage))

    assert expected in text
    assert ("weighted" in text) is bool(expected)
