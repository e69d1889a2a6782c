"""The report, opened in a browser with no network."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from egress_alerts.message import class_text
from egress_sentinel.report import write_report
from egress_sentinel.report.data import SERIES_KEYS, ReportData
from egress_sentinel.report.page import MAX_CHARTS
from tests.support.browser import look, open_browser
from tests.support.report_data import FEATURES, World, make_crowd, make_world

CAUSES = ("hot-linked object", "S3 through the NAT gateway", "log loop", "new replica", "unrecognized")
CHANGE = {
    "time_utc": "2026-10-19T01:52:11Z",
    "event_name": "PutBucketPolicy",
    "actor": "arn:aws:iam::210000000001:user/ann",
    "resource": "media-00",
    "event_id": "1",
    "reason": "it changed the bucket eight minutes before",
}
BEYOND_THE_MARGIN = """
const body = document.body, edge = body.getBoundingClientRect().right - parseFloat(getComputedStyle(body).paddingRight);
const isWide = (each) => each.getBoundingClientRect().right > edge + 1
  || (each.clientWidth > 0 && each.scrollWidth > each.clientWidth + 1);
return [...document.querySelectorAll("body *")].filter((each) => each.checkVisibility() && isWide(each)
  && !each.closest(".scroll, .chart, input, select")).map((each) => each.outerHTML.slice(0, 200));
"""
# Text whose contrast with the nearest background behind it is below 4.5, by the formula of WCAG 2.2.
LOW_CONTRAST = """
const part = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
const behind = (element) => {
  for (; element; element = element.parentElement) {
    const colour = numbers(getComputedStyle(element).backgroundColor);
    if (colour.length < 4 || colour[3] > 0.99) return colour.slice(0, 3);
  }
  return [255, 255, 255];
};
const low = [];
for (const element of document.querySelectorAll("body *:not(script):not(style)")) {
  if (element.closest("svg") || !element.checkVisibility()) continue;
  if (![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
  const [a, b] = [light(numbers(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
  if ((a + 0.05) / (b + 0.05) < 4.5) low.push(element.outerHTML.slice(0, 200));
}
return low;
"""


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
def page(world: World, folder: Path) -> str:
    """The address of the report of the world, with what later steps add to an alert."""
    alerts = [dict(alert) for alert in world.alerts]
    alerts[0] |= {
        "state": "open",
        "current_usd_per_day": 31.5,
        "account_name": "prod-media",
        "owner": "team-media",
        "owner_source": "tag owner",
        "tags": {"cost_category:unit": "streaming"},
        "saving": "At most $900 a month: 10 TB x $0.09 per GB of transfer to the internet.",
        "saving_usd_per_month": 900.0,
        "remedy_page": "docs/remedies.md#hot-links",
        "changes": [CHANGE],
        "contributor_count": 40,
        "details_key": "details/1.json",
    }
    write_report(
        alerts,
        folder / "features.parquet",
        folder / "report.html",
        scored=folder / "scored",
        labels=world.labels,
        scored_from=world.scored_from,
        bill_usd=1e9,
        made_from={"Files": "bill-00001.parquet", "Policy": "alerts from $5 a day"},
    )
    return (folder / "report.html").as_uri()


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of 75 accounts with 100 alerts."""
    folder = tmp_path_factory.mktemp("crowd")
    world = make_crowd()
    pq.write_table(world.features, folder / "features.parquet")
    alerts = [alert | {"likely_cause": CAUSES[n % len(CAUSES)]} for n, alert in enumerate(world.alerts)]
    scored = world.write_scored(folder / "scored")
    write_report(alerts, folder / "features.parquet", folder / "report.html", scored=scored)
    return folder / "report.html"


@pytest.fixture(scope="module")
def chrome() -> Iterator[webdriver.Chrome]:
    with open_browser() as driver:
        yield driver


@pytest.fixture
def browser(chrome: webdriver.Chrome) -> webdriver.Chrome:
    look(chrome)
    return chrome


_VISIBLE = "[...document.querySelectorAll(arguments[0])].filter((each) => each.checkVisibility())"


def seen(browser: webdriver.Chrome, selector: str) -> list[WebElement]:
    found: list[WebElement] = browser.execute_script(f"return {_VISIBLE}", selector)
    return found


def texts(browser: webdriver.Chrome, selector: str) -> list[str]:
    found: list[str] = browser.execute_script(f"return {_VISIBLE}.map((each) => each.innerText.trim())", selector)
    return found


def choose(browser: webdriver.Chrome, name: str, text: str) -> None:
    Select(browser.find_element(By.NAME, name)).select_by_visible_text(text)


def figures_of(page: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page.read_text())
    assert found is not None
    figures: dict[str, Any] = json.loads(found[1])
    return figures


def dollars(text: str) -> float:
    return float(text.replace("$", "").replace(",", ""))


@pytest.mark.integration
def test_every_alert_has_its_row_and_its_chart(world: World, page: str, browser: webdriver.Chrome) -> None:
    browser.get(page)
    rows = seen(browser, "details.alert > summary")
    assert len(rows) == len(world.alerts)
    assert rows[0].text.startswith("critical")
    for row in rows:
        row.click()
    charts = seen(browser, ".chart")
    assert len(charts) == 1 + len(world.alerts)
    for chart in charts:
        browser.execute_script("arguments[0].scrollIntoView()", chart)
        WebDriverWait(browser, 20).until(lambda _, c=chart: c.find_elements(By.CSS_SELECTOR, "svg.main-svg"))
        assert len(chart.get_attribute("aria-label") or "") > 40
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert [name for name in loaded if not name.startswith(("data:", "blob:"))] == []
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.integration
def test_the_first_answers_are_dollars(world: World, page: str, browser: webdriver.Chrome) -> None:
    browser.get(page)
    rows = world.features.to_pylist()
    end = max(row["hour_utc"] for row in rows) + timedelta(hours=1)

    def spent(before: int, until: int = 0) -> float:
        first, last = end - timedelta(days=before), end - timedelta(days=until)
        return float(sum(row["cost_usd"] for row in rows if first <= row["hour_utc"] < last))

    tiles = dict(
        zip(texts(browser, ".tiles dt"), (t.split("\n", 1)[1] for t in texts(browser, ".tiles div")), strict=True)
    )
    assert dollars(tiles["Cost a month"].split("\n")[0]) == pytest.approx(spent(30), rel=1e-3)
    assert dollars(tiles["Last 7 days"].split("\n")[0]) == pytest.approx(spent(7), rel=1e-3)
    assert f"({(spent(7) - spent(14, 7)) / spent(14, 7):+.0%})" in tiles["Last 7 days"]
    assert tiles["Ongoing now"] == "1 alert\nabout $31.50 a day"
    assert tiles["Fixing it saves"].startswith("$900.00 a month")
    headline = browser.find_element(By.CSS_SELECTOR, ".headline").text
    assert headline.startswith(f"Data transfer costs {tiles['Cost a month'].splitlines()[0]} a month. 4 incidents cost")
    assert re.search(r"This bill's egress is \$[\d,.]+ of \$1,000,000,000\.$", headline)
    made = browser.find_element(By.CSS_SELECTOR, "footer .facts").text
    assert all(text in made for text in ("bill-00001.parquet", "alerts from $5 a day", "egress-sentinel ", " UTC"))


@pytest.mark.integration
def test_an_alert_shows_whose_it_is_what_changed_and_what_fixes_it(page: str, browser: webdriver.Chrome) -> None:
    browser.get(page)
    alert = browser.find_element(By.CSS_SELECTOR, "details.alert[data-owner=team-media]")
    summary = alert.find_element(By.TAG_NAME, "summary")
    assert "owner team-media" in summary.text
    assert "prod-media (210000000001), us-east-1" in summary.text
    assert "2026-10-19 02:00-11:00 UTC (9 h)" in summary.text
    assert "ongoing" in summary.text
    summary.click()
    assert "team-media (tag owner)" in alert.text
    assert "cost_category:unit = streaming" in alert.text
    assert "At most $900 a month: 10 TB x $0.09 per GB" in alert.text
    assert "docs/remedies.md#hot-links" in alert.text
    assert "38 more series are listed in details/1.json" in alert.text
    assert "2026-10-19 01:52 UTC: PutBucketPolicy by arn:aws:iam::210000000001:user/ann on media-00" in alert.text
    assert "the excess of the last three days against that of any three days before: " in alert.text
    assert not [name for name in FEATURES if name in browser.find_element(By.TAG_NAME, "body").text]


@pytest.mark.integration
def test_long_ranges_are_by_day_until_hours_are_asked_for(page: str, browser: webdriver.Chrome) -> None:
    browser.get(page)

    def title() -> str:
        chart = browser.find_element(By.CSS_SELECTOR, "section > .chart")
        WebDriverWait(browser, 20).until(lambda _: chart.find_elements(By.CSS_SELECTOR, ".ytitle"))
        return chart.find_element(By.CSS_SELECTOR, ".ytitle").text

    assert title() == "USD a day"
    button = next(b for b in seen(browser, "button[data-figure]") if b.text == "GB by hour")
    button.send_keys(Keys.ENTER)
    assert (title(), button.get_attribute("aria-pressed")) == ("GB an hour", "true")


@pytest.mark.integration
def test_a_hostile_resource_id_is_text(world: World, folder: Path, browser: webdriver.Chrome) -> None:
    hostile = "</script><script>document.title='owned'</script>"
    alert = world.alerts[0] | {"resource_id": hostile}
    rows = world.features.column_names.index("resource_id")
    ids = world.features.column("resource_id").to_pylist()
    table = world.features.set_column(rows, "resource_id", [[hostile if i == ids[0] else i for i in ids]])
    pq.write_table(table, folder / "hostile.parquet")
    write_report([alert], folder / "hostile.parquet", folder / "hostile.html")
    browser.get((folder / "hostile.html").as_uri())
    browser.find_element(By.XPATH, "//*[@id='dimensions']/button[.='resource']").click()
    browser.find_element(By.ID, "all-costs").click()
    assert browser.title == "Egress Sentinel"
    assert hostile in browser.find_element(By.ID, "alert-list").text
    assert hostile in browser.find_element(By.ID, "cost-table").text


@pytest.mark.integration
def test_a_hundred_alerts_are_a_page_at_a_time(crowd: Path, browser: webdriver.Chrome) -> None:
    browser.get(crowd.as_uri())
    assert len(seen(browser, ".alert")) == 20
    assert browser.execute_script("return document.documentElement.scrollHeight") < 4500
    more = browser.find_element(By.ID, "more")
    assert more.text == "Show 20 more of 80"
    more.send_keys(Keys.ENTER)
    assert len(seen(browser, ".alert")) == 40
    focused = browser.switch_to.active_element
    assert focused == browser.find_elements(By.CSS_SELECTOR, ".alert > summary")[20]
    focused.send_keys(Keys.ENTER)
    assert seen(browser, ".alert:nth-child(21) .facts")
    plotly = 4_900_000
    assert crowd.stat().st_size < plotly + 3_500_000


@pytest.mark.integration
def test_alerts_are_filtered_sorted_and_grouped(crowd: Path, browser: webdriver.Chrome) -> None:
    browser.get(crowd.as_uri())
    shown = browser.find_element(By.ID, "shown")
    assert re.fullmatch(r"100 alerts, \$[\d,]+ above expected", shown.text)
    choose(browser, "severity", "high")
    assert set(texts(browser, ".alert .severity")) == {"high"}
    assert shown.text.startswith("of 100 alerts: 25 alerts, $")
    choose(browser, "account", "310000000002")
    assert texts(browser, ".alert .where")
    assert all(text.startswith("310000000002, ") for text in texts(browser, ".alert .where"))
    browser.find_element(By.CSS_SELECTOR, "#filters button").click()
    WebDriverWait(browser, 5).until(lambda _: shown.text.startswith("100 alerts"))
    choose(browser, "class", "between availability zones")
    choose(browser, "sort", "dollars above expected")
    usd = [dollars(text.split("\n")[0]) for text in texts(browser, ".alert .money")]
    assert usd == sorted(usd, reverse=True)
    assert len(usd) == 20
    choose(browser, "state", "ended")
    browser.find_element(By.NAME, "text").send_keys("instance/i-00000000000000001 hot")
    assert [t for t in texts(browser, ".alert .what strong") if t != "instance/i-00000000000000001"] == []
    browser.find_element(By.CSS_SELECTOR, "#filters button").click()
    choose(browser, "group", "likely cause")
    groups = texts(browser, ".group > summary")
    assert sorted(group.split(" ", 1)[0] for group in groups) == sorted(cause.split()[0] for cause in CAUSES)
    assert sum(int(re.search(r"(\d+) alerts?,", group)[1]) for group in groups) == 100  # type: ignore[index]
    assert seen(browser, ".group .alert") == []
    seen(browser, ".group > summary")[0].send_keys(Keys.ENTER)
    assert len({each.get_attribute("data-cause") for each in seen(browser, ".group .alert")}) == 1


@pytest.mark.integration
def test_a_link_to_an_alert_opens_it_wherever_it_is(crowd: Path, browser: webdriver.Chrome) -> None:
    last = re.findall(r'<details class="alert" id="(\w+)"', crowd.read_text())[-1]
    browser.get(f"{crowd.as_uri()}#{last}")
    assert browser.find_element(By.ID, last).find_element(By.CSS_SELECTOR, ".facts").is_displayed()


@pytest.mark.integration
def test_costs_lead_from_the_account_to_the_resource(crowd: Path, browser: webdriver.Chrome) -> None:
    browser.get(crowd.as_uri())
    button = "#cost-table tbody button"
    assert len(texts(browser, "#cost-table tbody tr")) == 10
    seen(browser, "#all-costs")[0].send_keys(Keys.ENTER)
    assert len(texts(browser, "#cost-table tbody tr")) == 75
    whole = dollars(browser.find_element(By.ID, "path").text.split(": ")[1].removesuffix(" a month"))
    assert whole == dollars(texts(browser, ".tiles dd")[0])
    months = [dollars(text) for text in texts(browser, "#cost-table tbody td:nth-child(2)")]
    assert sum(months) == pytest.approx(whole, rel=1e-2)
    assert months == sorted(months, reverse=True)
    account = seen(browser, button)[0].text
    for _ in range(3):
        month = seen(browser, "#cost-table tbody td:nth-child(2)")[0].text
        seen(browser, button)[0].send_keys(Keys.ENTER)
        assert browser.find_element(By.ID, "path").text.endswith(f": {month} a month")
    assert browser.find_element(By.ID, "path").text.startswith(f"everything / {account} / ")
    assert browser.find_element(By.ID, "cost-name").text == "resource"
    assert seen(browser, button) == []
    seen(browser, "#path button")[0].send_keys(Keys.ENTER)
    assert browser.find_element(By.ID, "cost-name").text == "account"


@pytest.mark.integration
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 420])
def test_text_can_be_read_and_fits(page: str, crowd: Path, browser: webdriver.Chrome, width: int, dark: bool) -> None:
    """The contrast of WCAG's level AA, on a page with every alert open; nothing is wider than the window."""
    look(browser, width=width, dark=dark)
    for address in (page, crowd.as_uri()):
        browser.get(address)
        browser.execute_script("document.querySelectorAll('.alert').forEach((alert) => { alert.open = true; })")
        assert browser.execute_script(LOW_CONTRAST) == []
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        assert browser.execute_script(BEYOND_THE_MARGIN) == []
    assert dark == (
        browser.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 29)"
    )


@pytest.mark.integration
def test_controls_have_names(page: str, browser: webdriver.Chrome) -> None:
    browser.get(page)
    controls = seen(browser, "button, select, input, summary, a")
    assert len(controls) > 20
    assert [each.get_attribute("outerHTML") for each in controls if not each.accessible_name] == []


def test_no_alerts_says_so(folder: Path) -> None:
    write_report([], folder / "features.parquet", folder / "quiet.html")
    text = (folder / "quiet.html").read_text()
    assert "No alerts: no scored hours" in text
    assert len(figures_of(folder / "quiet.html")["totals GB by hour"]["data"]) > 4
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="https?:', text)


def test_the_totals_are_those_of_the_features(world: World, folder: Path) -> None:
    write_report([], folder / "features.parquet", folder / "totals.html")
    figures = figures_of(folder / "totals.html")
    for unit, column in (("GB", "egress_gb"), ("USD", "cost_usd")):
        drawn = {trace["name"]: sum(trace["y"]) for trace in figures[f"totals {unit} by day"]["data"]}
        sums = world.features.group_by("egress_class").aggregate([(column, "sum")]).to_pylist()
        assert sum(each[f"{column}_sum"] for each in sums) > 0
        for each in sums:
            drawn_sum = drawn.get(class_text(each["egress_class"]), 0.0)
            assert drawn_sum == pytest.approx(each[f"{column}_sum"], rel=1e-3)


def test_charts_of_very_many_alerts_are_those_of_the_worst(world: World, folder: Path) -> None:
    many = [world.alerts[n % 4] | {"alert_id": f"{n:016x}", "cost_usd": 1000.0 - n} for n in range(300)]
    write_report(many, folder / "features.parquet", folder / "many.html")
    figures = figures_of(folder / "many.html")
    assert len({name.partition(" ")[0] for name in figures} - {"totals"}) == MAX_CHARTS
    assert (folder / "many.html").read_text().count('<details class="alert"') == 300


def test_a_class_more_than_there_are_colours_is_among_the_others(tmp_path: Path) -> None:
    world = make_world(days=10)
    place = world.features.column_names.index("egress_class")
    names = [[f"class-{row['resource_id'][-2:]}" for row in world.features.select(["resource_id"]).to_pylist()]]
    pq.write_table(world.features.set_column(place, "egress_class", names), tmp_path / "features.parquet")
    write_report([], tmp_path / "features.parquet", tmp_path / "report.html")
    traces = figures_of(tmp_path / "report.html")["totals USD by hour"]["data"]
    assert [trace["name"] for trace in traces][6:] == ["other classes", "start of an alert"]
    drawn = sum(sum(trace["y"]) for trace in traces[:7])
    assert drawn == pytest.approx(sum(world.features["cost_usd"].to_pylist()), rel=1e-3)


def test_a_long_incident_is_by_day(world: World, folder: Path) -> None:
    long = world.alerts[0] | {"start_hour_utc": "2026-09-08T00:00:00Z", "end_hour_utc": "2026-10-20T00:00:00Z"}
    write_report([long], folder / "features.parquet", folder / "long.html")
    mine = {name: f for name, f in figures_of(folder / "long.html").items() if not name.startswith("totals")}
    assert list(mine) == [f"{long['alert_id']} GB by day"]
    assert len(mine[f"{long['alert_id']} GB by day"]["x"]) > 40


def test_the_band_does_not_widen_with_the_incident(world: World, folder: Path) -> None:
    alert = max(world.alerts, key=lambda one: one["anomalous_hours"])
    write_report([alert], folder / "features.parquet", folder / "band.html")
    figure = figures_of(folder / "band.html")[f"{alert['alert_id']} GB by hour"]
    low, high = (trace["y"] for trace in figure["data"][:2])
    start = alert["start_hour_utc"][:16].replace("T", " ")
    half = {hour: (h - m) for hour, h, m in zip(figure["x"], high, low, strict=True)}
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
            shown = {name: value for name, (value, _, _) in data.worst_features(alert).items()}
            assert shown["beyond_habit_log"] == max(beyond) > min(beyond)
