"""The command `compare`: two models, or two matrices, and a decision."""

from __future__ import annotations

import shlex
import textwrap
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compatbench.cli.adapters import Folders
from compatbench.cli.console import plain_console, shown_progress
from compatbench.cli.input_options import FILES, print_notices, takes_input_options
from compatbench.cli.options import split_list
from compatbench.comparison.effort import Effort
from compatbench.data.vectors.options import InputOptions
from compatbench.data.vectors.stores.address import Address, source
from compatbench.errors import RequestError
from compatbench.vocabulary import FitOn, MetricName, Similarity

if TYPE_CHECKING:
    from compatbench.comparison.comparison import Comparison


@takes_input_options()
def compare(
    context: typer.Context,
    old: Annotated[
        Any, typer.Argument(parser=source, help=f"Items embedded by the old model: {FILES}; or a folder as BEIR's.")
    ],
    new: Annotated[
        Any, typer.Argument(parser=source, help="The same items by the new model, paired by id, else by row.")
    ] = None,
    qrels: Annotated[
        Path | None,
        typer.Option("--qrels", help="Relevance judgements in place of classes: query id, document id, relevance."),
    ] = None,
    old_queries: Annotated[
        Any,
        typer.Option("--old-queries", parser=source, help="Queries by the old model; else items are queries."),
    ] = None,
    new_queries: Annotated[
        Any, typer.Option("--new-queries", parser=source, help="The same queries by the new model.")
    ] = None,
    query_labels: Annotated[
        Path | None, typer.Option("--query-labels", help="A .npy file with the class of each row of --new-queries.")
    ] = None,
    adapters: Annotated[
        str, typer.Option("--adapters", help="Only these, comma-separated, see `compatbench list`; all without.")
    ] = "",
    queries: Annotated[
        int | None,
        typer.Option("--queries", min=1, help="Score at most so many; 2,000 without, or fewer for very many items."),
    ] = None,
    fit_pairs: Annotated[
        int, typer.Option("--fit-pairs", min=1, help="Fit on at most so many items, and on at most half of all.")
    ] = 10_000,
    effort: Annotated[
        Effort, typer.Option("--effort", help="How long adapters are trained: a quick schedule, or the published one.")
    ] = Effort.QUICK,
    similarity: Annotated[
        Similarity, typer.Option("--similarity", help="How the index ranks; lengths count by dot and l2.")
    ] = Similarity.COSINE,
    fit_on: Annotated[
        FitOn, typer.Option("--fit-on", help="What adapters are fitted on, where both models embed the queries.")
    ] = FitOn.DOCUMENTS,
    metric: Annotated[
        str,
        typer.Option("--metric", help="Number by which systems are judged: mAP, CMC@1; with judgements nDCG@10 …"),
    ] = MetricName.MAP.value,
    count: Annotated[
        str | None, typer.Option("--items", metavar="N", help="Items in your index, e.g. 200M: what a backfill costs.")
    ] = None,
    tokens_per_item: Annotated[float | None, typer.Option("--tokens-per-item", min=0, help="With the price.")] = None,
    price_per_million: Annotated[
        float | None, typer.Option("--price-per-million", min=0, help="Price of a million tokens.")
    ] = None,
    items_per_second: Annotated[
        float | None, typer.Option("--items-per-second", min=1e-9, help="Speed of the new encoder.")
    ] = None,
    require: Annotated[
        list[str] | None,
        typer.Option("--require", help="Exit with 1 where this does not hold, e.g. 'cross-gain>0'; may be repeated."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder of what is written; without, a new one in results/compare.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the comparison that is in --output.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the split and of what adapters draw at random.")] = 0,
    methods: Folders = None,
    *,
    labels: Path | None,
    options: InputOptions,
) -> None:
    """Keep the index, or re-embed everything? Fit every adapter between OLD and NEW, and score each."""
    from compatbench.comparison.gates import check_adapters, check_gates, parse_requirement

    if new is None:
        if qrels is not None or old_queries is not None or new_queries is not None:
            raise RequestError(f"{old} alone has queries and judgements of its own: give NEW, or none of these options")
        from compatbench.comparison.folder import find_files

        found = find_files(old, options)
        old, new, old_queries, new_queries, qrels = astuple(found)
    assert new is not None
    requirements = [parse_requirement(text) for text in require or []]

    from compatbench.comparison.costs import backfill_costs
    from compatbench.comparison.evaluate import Settings
    from compatbench.comparison.evaluate import compare as run
    from compatbench.comparison.fitting import choose_adapters
    from compatbench.comparison.numbers import metric_named
    from compatbench.comparison.request import Sources, check_sources, read_request
    from compatbench.comparison.write import new_folder, prepare_folder, write_comparison
    from compatbench.machine.stopwatch import Stopwatch
    from compatbench.records.environment import device

    chosen, folders = tuple(split_list(adapters)), tuple(methods or ())
    sources = Sources(old, new, labels, qrels, old_queries, new_queries, query_labels)
    check_sources(sources, options)
    costs = backfill_costs(count, tokens_per_item, price_per_million, items_per_second)
    judged_by = metric_named(metric)
    settings = Settings(queries, fit_pairs, effort, judged_by, costs, similarity, fit_on, seed, chosen, folders)
    check_adapters(requirements, [one.name for one in choose_adapters(settings.adapters, settings.method_folders)])
    folder = new_folder(old, new) if output is None else prepare_folder(output, force=force)
    stages = Stopwatch()
    with stages.stage("read"):
        request = read_request(sources, options)
    asked = request.items, request.queries, request.relevance
    with shown_progress() as watch:
        comparison, results = run(*asked, settings, _command(context), device(), stages, watch)
    comparison.notices += request.notices
    comparison.gates = check_gates(requirements, comparison.outcomes, comparison.metric)
    written = write_comparison(comparison, results, folder)
    _print(comparison)
    print_notices(comparison.notices)
    print(f"written: {', '.join(str(path) for path in written[:3])}")
    if not all(gate.met for gate in comparison.gates):
        raise typer.Exit(1)


def _command(context: typer.Context) -> str:
    """What runs this again, in a folder that holds the files."""
    words = ["compatbench", "compare"]
    for parameter in context.command.params:
        value = context.params.get(parameter.name or "")
        if value in (None, [], ()) or value == parameter.default or parameter.name in ("output", "force"):
            continue
        if value is True:
            words.append(parameter.opts[0])
            continue
        for one in value if isinstance(value, list | tuple) else [value]:
            text = one.name if isinstance(one, Path | Address) else str(one)
            words += [text] if parameter.param_type_name == "argument" else [parameter.opts[0], text]
    return shlex.join(words)


def _print(comparison: Comparison) -> None:
    from compatbench.comparison.backfill_tables import backfill_table, costs_table, sentences
    from compatbench.comparison.tables import WITH_INTERVAL, numbers_table, scores_table, thresholds_table
    from compatbench.report.render.table import Place
    from compatbench.report.render.terminal import print_table

    console = plain_console()
    table = scores_table(comparison)
    print_table(table.narrow(Place.COMPACT), console, intervals=WITH_INTERVAL)
    for outcome in comparison.outcomes:
        if outcome.skipped:
            print(f"{outcome.name} skipped: {outcome.skipped}")
    print(textwrap.fill(table.caption, 120))
    print()
    tables = numbers_table, backfill_table, costs_table, thresholds_table
    for further in (make(comparison) for make in tables):
        if further is not None:
            print_table(further, console)
    print()
    for line in (*comparison.verdict, *sentences(comparison)):
        print(line)
    for gate in comparison.gates:
        print(f"{'✓' if gate.met else '✗'} required: {gate.requirement}")
