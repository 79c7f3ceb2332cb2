"""`benben explore`: look into a finished run in a browser."""

from __future__ import annotations

from dataclasses import replace

import click

from benben.analysis.explore import server
from benben.analysis.explore.explorer import Explorer
from benben.common.command_line import RUN, Command
from benben.jobs.commands.provenance import archive_options, archives_of


@click.command(cls=Command)
@RUN
@click.option("--against", metavar="RUN", help="Another run, to show the drift from it.")
@archive_options
@click.option("--port", type=int, default=8800, show_default=True, help="0 chooses a free port.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--remote-images", is_flag=True, help="Load images that are not stored from the web.")
@click.option("--static", metavar="FOLDER", help="Write files instead of serving pages.")
@click.option(
    "--documents", type=click.IntRange(1), default=200, show_default=True,
    help="Number of documents to write with --static.",
)  # fmt: skip
def main(
    run: str,
    against: str | None,
    inputs: tuple[str, ...],
    config: str | None,
    port: int,
    host: str,
    remote_images: bool,
    static: str | None,
    documents: int,
) -> int:
    """Look into the finished run of the folder RUN in a browser.

    Pages are shown as they were if the run's archives are still where its config says.
    """
    named = bool(inputs or config)  # or those of the run's own config, which may have gone since
    archives = replace(archives_of(run, inputs, config), optional=not named)
    explorer = Explorer(run, against, archives, remote_images, static is not None)
    if static:
        number = server.write_static(explorer, static, documents)
        print(f"{static}/index.html: {number} pages")
        return 0
    server.make_server(explorer, port, host).run(f"serving {run}")
    return 0
