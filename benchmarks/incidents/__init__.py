"""The labelled benchmark: incidents in generated bills, found by Egress Sentinel and by its rivals.

    python -m benchmarks.incidents                       # the tables: tuned on dev seeds, measured on check seeds
    python -m benchmarks.incidents --seeds dev --detector "Egress Sentinel" --cases 3    # quick, while tuning
    python -m benchmarks.incidents --seeds dev --detector "Egress Sentinel" --explain    # each miss and false alert
    python -m benchmarks.incidents --bills crowds young --as-it-comes    # what each detector ships with, untuned
    python -m benchmarks.incidents --quick               # two seeds of each, to see that it runs
    python -m benchmarks.incidents --json results.json   # and then, to put the tables into the page:
    python -m benchmarks.incidents.report results.json docs/benchmark.md
    python -m benchmarks.incidents --picture docs/images/incidents-frontier.png
    python -m benchmarks.incidents.feedback              # what verdicts on the first half's alerts do to the second
    python -m benchmarks.incidents.feedback --bills recurring --cases 2    # where ordinary causes come again

To evaluate a changed detector quickly::

    from pathlib import Path
    from benchmarks.incidents.cases import generated_case
    from benchmarks.incidents.detectors import ours
    from benchmarks.incidents.evaluation import BUDGET, OURS, alerts_by_setting, apply, tuned
    from benchmarks.incidents.score import total
    from benchmarks.incidents.seeds import SEEDS

    cache = Path("bench-cache")
    found = [(c, alerts_by_setting(OURS, c, cache)) for c in (generated_case(s, cache) for s in SEEDS["dev"])]
    choice = tuned(found)[BUDGET]                          # threshold on the alerts' rank within the budget
    result = total(apply(choice, found))
    print(result.figures(), result.false_by, result.by)    # what was missed by kind and size, what was false

Features, models and alerts are kept in the cache by a hash of the bill and of the code that made them
(`egress_features`, `anomaly_detection`, `egress_alerts`), so a change of the decision alone takes seconds.
`ours.POLICY` and `ours.HYPERPARAMETERS` are values of the alert policy and the training script's variables. An alert's
rank, by which a budget is kept, is made in `ours._alert`; its kind is read from the alert record's `incident_class`.

Never look at `SEEDS["reported"]` while tuning. The generator (`cases.GENERATOR`) imports
nothing of the product; a test holds that.
"""
