"""The report, opened in a browser with no network."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from egress_sentinel.report import write_report
from egress_sentinel.report.data import SERIES_KEYS, ReportData
from tests.support.report_data import World, make_world
from tests.support.sample_data import required_program


@pytest.fixture(scope="module")
def world() -> World:
    return make_world()


@pytest.fixture(scope="module")
def folder(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    pq.write_table(world.features, folder / "features.parquet")
    world.write_scored(folder / "scored")
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = required_program("chromium", "chromium-browser", "google-chrome")
    for flag in ("headless", "no-sandbox", "disable-gpu", "disable-background-networking", "window-size=1280,2000"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(required_program("chromedriver")))
    yield driver
    driver.quit()


@pytest.mark.integration
def test_every_alert_has_its_row_and_its_charts(world: World, folder: Path, browser: webdriver.Chrome) -> None:
    page = folder / "report.html"
    write_report(
        world.alerts,
        folder / "features.parquet",
        page,
        scored=folder / "scored",
        labels=world.labels,
        scored_from=world.scored_from,
    )
    browser.get(page.as_uri())
    rows = browser.find_elements(By.CSS_SELECTOR, "#alert-table tbody tr")
    assert len(rows) == len(world.alerts)
    assert rows[0].text.startswith("critical")
    charts = browser.find_elements(By.CSS_SELECTOR, ".chart")
    assert len(charts) == 1 + 2 * len(world.alerts)
    for chart in charts:
        browser.execute_script("arguments[0].scrollIntoView()", chart)
        WebDriverWait(browser, 20).until(lambda _, c=chart: c.find_elements(By.CSS_SELECTOR, "svg.main-svg"))
    browser.find_element(By.CSS_SELECTOR, "button[data-unit=USD]").click()
    title = browser.find_element(By.CSS_SELECTOR, '[data-figure="totals"] .ytitle').text
    assert title == "USD an hour"
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert [name for name in loaded if not name.startswith(("data:", "blob:"))] == []
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.integration
def test_a_hostile_resource_id_is_text(world: World, folder: Path, browser: webdriver.Chrome) -> None:
    hostile = "</script><script>document.title='owned'</script>"
    alert = world.alerts[0] | {"resource_id": hostile}
    write_report([alert], folder / "features.parquet", folder / "hostile.html")
    browser.get((folder / "hostile.html").as_uri())
    assert browser.title == "Egress Sentinel"
    assert hostile in browser.find_element(By.CSS_SELECTOR, "#alert-table tbody").text


def test_no_alerts_says_so(folder: Path) -> None:
    write_report([], folder / "features.parquet", folder / "quiet.html")
    text = (folder / "quiet.html").read_text()
    assert "No alerts: no scored hours" in text
    figures = re.search(r'<script type="application/json" id="figures">(.*?)</script>', text)
    assert figures is not None
    assert len(json.loads(figures[1])["totals"]["data"]) > 5
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="https?:', text)


def test_the_totals_are_those_of_the_features(world: World, folder: Path) -> None:
    write_report([], folder / "features.parquet", folder / "totals.html")
    found = re.search(r'id="figures">(.*?)</script>', (folder / "totals.html").read_text())
    assert found is not None
    drawn = {(trace["meta"], trace["name"]): sum(trace["y"]) for trace in json.loads(found[1])["totals"]["data"]}
    for unit, column in (("GB", "egress_gb"), ("USD", "cost_usd")):
        sums = world.features.group_by("egress_class").aggregate([(column, "sum")]).to_pylist()
        assert sum(each[f"{column}_sum"] for each in sums) > 0
        for each in sums:
            assert drawn.get((unit, each["egress_class"]), 0.0) == pytest.approx(each[f"{column}_sum"], rel=1e-3)


def test_the_band_does_not_widen_with_the_incident(world: World, folder: Path) -> None:
    alert = max(world.alerts, key=lambda one: one["anomalous_hours"])
    write_report([alert], folder / "features.parquet", folder / "band.html")
    text = (folder / "band.html").read_text()
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', text)
    assert found is not None
    low, high = json.loads(found[1])[f"series-{alert['alert_id']}"]["data"][:2]
    start = alert["start_hour_utc"][:16].replace("T", " ")
    half = {hour: (h - m) for hour, h, m in zip(high["x"], high["y"], low["y"], strict=True)}
    before = max(width for hour, width in half.items() if hour < start)
    assert all(width <= before * 1.01 for hour, width in half.items() if hour >= start)


def test_the_features_shown_are_those_of_the_hour_that_the_reasons_are_about(world: World, tmp_path: Path) -> None:
    """The hour furthest beyond its habit, and not the one with the lowest score: a forest's lowest scores are alike."""
    column = world.scored.column_names.index("anomaly_score")
    scored = world.scored.set_column(column, "anomaly_score", world.scored["beyond_habit_log"])
    replace(world, scored=scored).write_scored(tmp_path / "scored")
    pq.write_table(world.features, tmp_path / "features.parquet")
    with ReportData(tmp_path / "features.parquet", tmp_path / "scored") as data:
        for alert in world.alerts:
            start, end = (datetime.fromisoformat(alert[f"{name}_hour_utc"]) for name in ("start", "end"))
            beyond = [
                row["beyond_habit_log"]
                for row in scored.to_pylist()
                if all(row[name] == alert[name] for name in SERIES_KEYS) and start <= row["hour_utc"] <= end
            ]
            shown = {name: value for name, value, _ in data.worst_features(alert)}
            assert shown["beyond_habit_log"] == max(beyond) > min(beyond)
