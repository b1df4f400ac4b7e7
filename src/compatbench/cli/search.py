"""The command `search`: do indexes of old vectors serve new queries?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from compatbench.cli.adapters import Folders
from compatbench.cli.console import plain_console
from compatbench.cli.input_options import FILES, OF_COMPARE, print_notices, takes_input_options
from compatbench.data.vectors.options import InputOptions
from compatbench.errors import RequestError


@takes_input_options(without=(*OF_COMPARE, "group", "labels"))
def search(
    old: Annotated[Path, typer.Argument(help=f"Old embeddings: {FILES}.")],
    new: Annotated[Path, typer.Argument(help="New embeddings of the same items, paired by id, else by row.")],
    adapter: Annotated[
        list[Path] | None, typer.Option("--adapter", help="A file that `compatbench fit` wrote; may be repeated.")
    ] = None,
    queries: Annotated[int, typer.Option("--queries", min=1, help="Items that are asked, drawn at random.")] = 1000,
    k: Annotated[int, typer.Option("--k", min=1, help="Items that a query looks for.")] = 10,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Times everything is measured; medians.")] = 3,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads of Faiss.")] = 1,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Draws the queries.")] = 0,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The table as .csv or .md.")] = None,
    methods: Folders = None,
    *,
    options: InputOptions,
) -> None:
    """Measure Faiss indexes of old vectors with old, new and adapted queries: recall, rate, latency, size."""
    if output is not None and output.suffix not in (".csv", ".md"):
        raise RequestError(f"{output}: the table is written to a .csv or .md file")

    from compatbench.comparison.embedding_search import search_embeddings
    from compatbench.comparison.inputs import length_notices, read_items
    from compatbench.comparison.search_table import search_table
    from compatbench.generations import adapters
    from compatbench.report.render.terminal import print_table
    from compatbench.report.render.to_csv import to_csv
    from compatbench.report.render.to_markdown import to_markdown
    from compatbench.storage.files import write_whole

    items = read_items(old, new, options=options)
    if len(items) < 2:
        raise RequestError(f"{new}: a search needs two items or more")
    print_notices((*items.notices, *length_notices(items)))
    fitted = {path.stem: adapters.load(path, methods or []) for path in adapter or []}
    if len(fitted) < len(adapter or []):
        raise RequestError("--adapter: two files of one name cannot be told apart in the table; rename one")
    for name, one in fitted.items():
        if (one.dim, one.old_dim) != (items.new.dim, items.old.dim):
            raise RequestError(
                f"--adapter {name} maps {one.dim} → {one.old_dim} dimensions; the files have {items.new.dim} new and "
                f"{items.old.dim} old ones"
            )
    settings = {"queries": queries, "k": k, "repeats": repeats, "threads": threads, "seed": seed}
    with Console(stderr=True).status("index search") as status:
        found = list(search_embeddings(items, fitted, **settings, notify=status.update))
    table = search_table(found, f"Index search: {old.name} → {new.name}", len(items), threads)
    print_table(table, plain_console())
    if output is not None:
        write_whole(output, to_csv(table) if output.suffix == ".csv" else to_markdown(table))
        print(f"written: {output}")
