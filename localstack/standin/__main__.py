"""Serve the stand-in LLM: `python -m localstack.standin --port 8002`."""

from __future__ import annotations

import sys

import click
from gunicorn.app.wsgiapp import run


@click.command()
@click.option("--port", type=int, default=8002, show_default=True)
@click.option("--threads", type=int, default=128, show_default=True, help="Calls at once.")
def main(port: int, threads: int) -> None:
    """Serve on 127.0.0.1 until SIGTERM."""
    # One process: knobs and books are in its memory.
    sys.argv = [
        *("gunicorn", "--workers", "1", "--worker-class", "gthread", "--threads", str(threads)),
        *("--bind", f"127.0.0.1:{port}", "--graceful-timeout", "1", "--timeout", "0"),
        *("--no-control-socket", "--log-level", "warning"),
        "localstack.standin.app:create_app()",
    ]
    run()


if __name__ == "__main__":
    main()
