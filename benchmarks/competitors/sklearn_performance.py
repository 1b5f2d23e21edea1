"""scikit-learn on the predictions in memory: accuracy, precision, recall, F1, AUC, average precision, log loss, Brier score
and confusion matrix of two classes; no intervals."""

import pyarrow.parquet as pq
from sklearn import metrics
from stopwatch import WARMING_ROWS, clock


def prepare(folder):
    table = pq.read_table(folder / "predictions_current.parquet", columns=["target", "score", "prediction"])
    return tuple(table[name].to_numpy() for name in ("target", "score", "prediction"))


def work(columns):
    y, score, predicted = columns
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(y, predicted, average="binary")
    metrics.confusion_matrix(y, predicted)
    return {
        "accuracy": metrics.accuracy_score(y, predicted),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "auc": metrics.roc_auc_score(y, score),
        "average_precision": metrics.average_precision_score(y, score),
        "log_loss": metrics.log_loss(y, score),
        "brier_score": metrics.brier_score_loss(y, score),
    }


if __name__ == "__main__":
    clock(
        "scikit-learn",
        ("scikit-learn", "numpy"),
        prepare=prepare,
        warm=lambda columns: work([column[:WARMING_ROWS] for column in columns]),
        work=work,
        values=lambda found: {"current": {name: float(value) for name, value in found.items()}},
    )
