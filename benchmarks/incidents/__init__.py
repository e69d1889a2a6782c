"""The labelled benchmark: detections of incidents in generated bills by Egress Sentinel and by its rivals.

    python -m benchmarks.incidents                       # the tables: tuned on dev seeds, measured on check seeds
    python -m benchmarks.incidents --seeds dev --detector "Egress Sentinel" --cases 3    # quick, while tuning
    python -m benchmarks.incidents --seeds dev --detector "Egress Sentinel" --explain    # each miss and false alert
    python -m benchmarks.incidents --bills crowds young --as-it-comes    # each detector's defaults, untuned
    python -m benchmarks.incidents --quick               # two seeds of each, to check that it runs
    python -m benchmarks.incidents --json results.json   # and then, to put the tables into the page:
    python -m benchmarks.incidents.report results.json docs/benchmark.md
    python -m benchmarks.incidents --picture docs/images/incidents-frontier.png
    python -m benchmarks.incidents.feedback              # the effect of verdicts on the first half's alerts
    python -m benchmarks.incidents.feedback --bills recurring --cases 2    # in bills in which ordinary causes recur
    python -m benchmarks.incidents data build            # bills and truth as a data set (`make benchmark-data`)
    python -m benchmarks.incidents alerts DATASET DETECTOR ALERTS.json    # a detector's alerts in the data set's format
    python -m benchmarks.incidents score DATASET ALERTS.json    # the figures of any detector's alerts on it

To evaluate a changed detector quickly::

    from pathlib import Path
    from benchmarks.incidents.cases import generated_case
    from benchmarks.incidents.detectors import ours
    from benchmarks.incidents.evaluation import AS_IT_COMES, OURS, alerts_by_setting, apply
    from benchmarks.incidents.score import total
    from benchmarks.incidents.seeds import SEEDS

    cache = Path("bench-cache")
    found = [(c, alerts_by_setting(OURS, c, cache)) for c in (generated_case(s, cache) for s in SEEDS["dev"])]
    result = total(apply(AS_IT_COMES[OURS], found))        # or tuned(found)[BUDGET]: the threshold on the rank
    print(result.figures(), result.false_by, result.by)    # false alerts by kind, misses by kind and size

Features, models and alerts are kept in the cache by a hash of the bill and of the code that made them
(`egress_features`, `anomaly_detection`, `egress_alerts`). So a change of the decision alone takes seconds to evaluate.
`ours.POLICY` and `ours.HYPERPARAMETERS` are values of the alert policy and of the training script's variables.
`ours._alert` computes an alert's rank, on which the threshold for a budget is set. An alert's kind is the
`incident_class` of its record.

`bills.BILLS` holds the kinds of bills by name: `generated`, `real`, `crowds`, `quiet`, `bursty`, `growing`, `young`,
`daily`, `daily-real`. An alert about a level above the resource names the resource `*` (`alert.ALL`). `ours.alert_of`
converts records to alerts.

Never run `SEEDS["reported"]` while building. The generator imports nothing of the product; a test checks that.
"""
