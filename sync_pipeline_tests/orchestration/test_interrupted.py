"""Ctrl-C in the middle of a run."""

from __future__ import annotations

import os
import signal

from sync_pipeline.local_space.request import Request
from sync_pipeline_tests.harness.project import Project


def test_an_interrupted_run_says_so_in_a_line_and_goes_on_when_resumed(project: Project) -> None:
    def interrupt_the_first_write(request: Request) -> None:
        if request.method == "PUT":
            project.space.fault = lambda _request: None
            os.kill(os.getpid(), signal.SIGINT)

    project.space.fault = interrupt_the_first_write
    launched = project.apply()
    assert (launched.is_success, launched.exit_code) == (False, 130)
    assert launched.failure.startswith("Interrupted.")
    assert "Traceback" not in launched.failure
    assert "\n" not in launched.failure

    assert project.resume(launched.run_id).is_success
    assert len(project.space.entries()) == 40
    assert project.failed() == []
