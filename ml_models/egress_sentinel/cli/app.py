"""The command line `egress-sentinel`: its commands, and how an error that a person can fix ends it."""

from __future__ import annotations

import inspect
import sys
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from egress_sentinel.cli.aws import local
from egress_sentinel.cli.backtest import backtest
from egress_sentinel.cli.batch import batch
from egress_sentinel.cli.cost import cost
from egress_sentinel.cli.demo import demo
from egress_sentinel.cli.digest import digest
from egress_sentinel.cli.drift import drift
from egress_sentinel.cli.features import features, flow_hours, get_features
from egress_sentinel.cli.load import load
from egress_sentinel.cli.models import models
from egress_sentinel.cli.output import say
from egress_sentinel.cli.owners import owners
from egress_sentinel.cli.report import report
from egress_sentinel.cli.run import run
from egress_sentinel.cli.score import score
from egress_sentinel.cli.series import series, series_train
from egress_sentinel.cli.serve import serve
from egress_sentinel.cli.sources import sources
from egress_sentinel.cli.train import importance, train
from egress_sentinel.cli.verdicts import feedback, planned
from egress_sentinel.cli.verify import verify
from egress_sentinel.errors import UserError
from egress_sentinel.serving.server_process import stop_on_signals

_GET_FEATURES = ("features", "get")


class _Commands(TyperGroup):
    """The commands; `features get` is a separate command, because `features` takes any number of exports."""

    # Typer has click under either of two names, by its release.
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Take the two words of `features get` for one name."""
        if tuple(args[:2]) == _GET_FEATURES:
            args = [" ".join(_GET_FEATURES), *args[2:]]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="egress-sentinel",
    cls=_Commands,
    epilog="Start with: egress-sentinel run EXPORT...   Bad input ends with one sentence and exit status 2.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

_ANALYZE, _DEPLOY, _DEVELOP = "Analyze a bill", "Deploy and operate", "Develop and inspect"
_COMMANDS = {
    _ANALYZE: (run, demo, report, digest, feedback, planned, owners, backtest, sources),
    _DEPLOY: (verify, cost, drift, batch, load),
    _DEVELOP: (features, train, score, serve, importance, flow_hours, series, series_train),
}
for _panel, _members in _COMMANDS.items():
    for _command in _members:
        app.command(rich_help_panel=_panel)(_command)
app.command(" ".join(_GET_FEATURES), rich_help_panel=_DEPLOY)(get_features)
app.add_typer(models, rich_help_panel=_DEPLOY)
app.add_typer(local, rich_help_panel=_DEVELOP)
for _group in (app, models, local):
    for _info in _group.registered_commands:
        # Rich keeps the line breaks of a docstring, which are not those of the terminal.
        _paragraphs = (inspect.getdoc(_info.callback) or "").split("\n\n")
        _info.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in _paragraphs)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        print(version("egress-sentinel"))
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Find, price and explain unusual AWS data-transfer charges in a billing export, hour by hour."""


def main() -> None:
    """Run the command line; an error that a person can fix is one sentence and exit status 2.

    SIGTERM and SIGHUP end it as Ctrl-C does, so that temporary files are deleted.
    """
    stop_on_signals(with_stdin=False)
    try:
        app()
    except Exception as error:
        if not isinstance(error, _user_errors()):
            raise
        say(f"egress-sentinel: {error}")
        sys.exit(2)


def _user_errors() -> tuple[type[Exception], ...]:
    # Imported when something has failed: the package is slow to import, and --help does not need it.
    from egress_features import BadInputError

    return UserError, BadInputError


if __name__ == "__main__":
    main()
