"""Run emobench commands or lines of Python in one long-lived process: one job per line in, one answer per line out.

Imports are shared by all jobs; the address of the Hub must be in the environment before the start.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import traceback

from emobench.cli.main import app
from typer.testing import CliRunner

answers = sys.stdout
for line in sys.stdin:
    job = json.loads(line)
    before = dict(os.environ)
    os.environ.update(job["env"])
    if "python" in job:
        out = io.StringIO()
        values: dict[str, object] = {}
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                exec(job["python"], values)
            answer = {"status": 0, "value": values["value"], "out": out.getvalue(), "err": ""}
        except Exception:  # anything that the lines of a test raise
            answer = {"status": 1, "value": None, "out": out.getvalue(), "err": traceback.format_exc()}
    else:
        ran = CliRunner().invoke(app, job["arguments"])
        answer = {"status": ran.exit_code, "value": None, "out": ran.stdout, "err": ran.stderr}
        if ran.exception is not None and not isinstance(ran.exception, SystemExit):
            answer["err"] += "".join(traceback.format_exception(ran.exception))
    os.environ.clear()
    os.environ.update(before)
    print(json.dumps(answer), file=answers, flush=True)
