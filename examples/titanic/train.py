"""Fits two pipelines on the Titanic passengers, prints their scores, and pushes the first (or `--model hist`).

    python examples/titanic/train.py                  fit, score, push to http://127.0.0.1:8000
    python examples/titanic/train.py --save DIR       fit, score, write titanic.skops and rows.csv instead

Both pipelines are fitted without the holdout rows of `queuecast.holdout`, so later retrainings compare fairly.
"""

import argparse
from pathlib import Path

import pandas as pd
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

import queuecast

DATA = Path(__file__).with_name("titanic.csv")
NUMBERS = ["age", "sibsp", "parch", "fare"]
CATEGORIES = ["pclass", "sex", "embarked"]
COLUMNS = ["pclass", "sex", "age", "sibsp", "parch", "fare", "embarked"]
TARGET = "survived"


def logistic() -> Pipeline:
    """Imputes and scales the numbers, imputes and one-hot encodes the categories, and fits a linear model."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    categories = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    columns = ColumnTransformer([("numbers", numbers, NUMBERS), ("categories", categories, CATEGORIES)])
    return Pipeline([("columns", columns), ("model", LogisticRegression(max_iter=1000))])


def hist() -> Pipeline:
    """Gradient boosting handles missing numbers itself; categories become integers."""
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
    columns = ColumnTransformer([("numbers", "passthrough", NUMBERS), ("categories", encoder, CATEGORIES)])
    return Pipeline([("columns", columns), ("model", HistGradientBoostingClassifier(random_state=0))])


PIPELINES = {"logistic": logistic, "hist": hist}


def passengers() -> pd.DataFrame:
    return pd.read_csv(DATA)[[*COLUMNS, TARGET]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=PIPELINES, default="logistic", help="the pipeline to push")
    parser.add_argument("--name", default="titanic", help="the name to push it under")
    parser.add_argument("--url", help="the gateway (default: QUEUECAST_URL or http://127.0.0.1:8000)")
    parser.add_argument("--save", type=Path, metavar="DIR", help="write the files there instead of pushing")
    options = parser.parse_args()

    rows = passengers()
    X, y = rows[COLUMNS], rows[TARGET]
    split = queuecast.holdout(X)
    X_train, y_train = X.iloc[split.train], y.iloc[split.train]
    X_test, y_test = X.iloc[split.test], y.iloc[split.test]
    folds = StratifiedKFold(5, shuffle=True, random_state=0)  # the file is sorted by class and survival
    fitted = {}
    for name, make in PIPELINES.items():
        scores = cross_val_score(make(), X_train, y_train, cv=folds)
        fitted[name] = make().fit(X_train, y_train)
        holdout_score = fitted[name].score(X_test, y_test)
        print(
            f"{name:10} accuracy {scores.mean():.3f} +- {scores.std():.3f} (5-fold on {len(X_train)} rows), "
            f"{holdout_score:.3f} on {len(X_test)} held-out rows"
        )

    if options.save:
        options.save.mkdir(parents=True, exist_ok=True)
        skops.io.dump(fitted[options.model], options.save / f"{options.name}.skops")
        rows.iloc[split.train].to_csv(options.save / "rows.csv", index=False)
        print(f"wrote {options.save / f'{options.name}.skops'} and {options.save / 'rows.csv'}")
        return
    with queuecast.Client(options.url) as client:
        job = client.push(options.name, fitted[options.model], X, y, holdout=split)
        result = job.result(timeout_s=120)
    champion = " and is the champion" if result["promoted"] else ""
    print(f"pushed {result['model']} version {result['version']}{champion}")


if __name__ == "__main__":
    main()
