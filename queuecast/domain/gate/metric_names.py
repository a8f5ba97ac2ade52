"""The metrics that can be named: the scorers of scikit-learn 1.9.1, of which more is better."""

from collections.abc import Iterator
from dataclasses import replace

from queuecast.domain.errors import Finding, mismatch, short_name
from queuecast.domain.findings.bounds import first_findings, list_names
from queuecast.domain.findings.json_texts import escaped
from queuecast.domain.findings.nearest_names import NearestNames
from queuecast.domain.gate.gate_settings import GateSettings

METRIC_NAMES = frozenset(
    {
        *("accuracy", "adjusted_mutual_info_score", "adjusted_rand_score", "average_precision"),
        *("balanced_accuracy", "completeness_score", "d2_absolute_error_score", "d2_brier_score"),
        *("d2_log_loss_score", "explained_variance", "f1", "f1_macro", "f1_micro", "f1_samples"),
        *("f1_weighted", "fowlkes_mallows_score", "homogeneity_score", "jaccard", "jaccard_macro"),
        *("jaccard_micro", "jaccard_samples", "jaccard_weighted", "matthews_corrcoef", "mutual_info_score"),
        *("neg_brier_score", "neg_log_loss", "neg_max_error", "neg_mean_absolute_error"),
        *("neg_mean_absolute_percentage_error", "neg_mean_gamma_deviance", "neg_mean_poisson_deviance"),
        *("neg_mean_squared_error", "neg_mean_squared_log_error", "neg_median_absolute_error"),
        *("neg_negative_likelihood_ratio", "neg_root_mean_squared_error", "neg_root_mean_squared_log_error"),
        *("normalized_mutual_info_score", "positive_likelihood_ratio", "precision", "precision_macro"),
        *("precision_micro", "precision_samples", "precision_weighted", "r2", "rand_score", "recall"),
        *("recall_macro", "recall_micro", "recall_samples", "recall_weighted", "roc_auc", "roc_auc_ovo"),
        *("roc_auc_ovo_weighted", "roc_auc_ovr", "roc_auc_ovr_weighted", "top_k_accuracy", "v_measure_score"),
    }
)


def require_known_metrics(settings: GateSettings, pointer: str) -> None:
    """Raises InvalidInputError for a metric that scikit-learn has no scorer for."""
    findings = first_findings(_unknown_metrics(settings, pointer))
    if findings.first:
        raise findings.refusal()


def _unknown_metrics(settings: GateSettings, pointer: str) -> Iterator[Finding]:
    named = [("/metric", settings.metric)] if settings.metric else []
    named += [(f"/guards/{at}", name) for at, name in enumerate(settings.guards or ())]
    for field, by_metric in (("margins", settings.margins), ("floors", settings.floors)):
        named += [(f"/{field}/{escaped(name)}", name) for name in by_metric]
    names = NearestNames(METRIC_NAMES)
    for place, name in named:
        if name not in METRIC_NAMES:
            nearest = names.of(name)
            expected = f"one of {list_names(sorted(METRIC_NAMES))}" if nearest is None else repr(nearest)
            finding = mismatch(pointer + place, "unknown_metric", f"the metric {short_name(name)!r}", expected)
            yield replace(finding, nearest=nearest)
