import logging
import re
import subprocess
import sys

import numpy as np
import pytest

from nsdrecon.errors import InputError
from nsdrecon.logs import job_log, progress, versions


def test_log_file_has_begin_messages_of_the_library_and_end(tmp_path, capsys):
    path = tmp_path / "logs" / "job.log"
    with job_log(path, "average_betas") as log:
        log.info("hello")
        logging.getLogger("nsdrecon.data.betas").info("42 voxels")
    text = path.read_text()
    lines = text.splitlines()
    assert "start on" in lines[0]
    assert "nsdrecon.average_betas: hello" in text
    assert "nsdrecon.data.betas: 42 voxels" in text
    assert "done in" in lines[-1]
    assert "peak memory" in lines[-1]
    assert "42 voxels" in capsys.readouterr().err


def test_traceback_goes_to_the_log_and_the_error_on(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # is put back
    path = tmp_path / "job.log"
    with pytest.raises(ZeroDivisionError), job_log(path, "job"):
        1 / 0  # noqa: B018
    text = path.read_text()
    assert "stopped after" in text
    assert "Traceback" in text
    assert "ZeroDivisionError" in text
    assert "done in" not in text


def test_lines_of_jobs_side_by_side_bear_rule_subject_and_system(tmp_path, capsys):
    with job_log(tmp_path / "evaluation" / "subj01_vdvae.log", "evaluation") as log:
        log.info("100 % done")
    assert " INFO evaluation subj01_vdvae: 100 % done\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (InputError("a.h5", found="no file", expected="one"), "a.h5: found no file; expected one."),
        (KeyboardInterrupt(), "interrupted"),
    ],
)
def test_wrong_input_and_interruptions_are_one_line(tmp_path, capsys, monkeypatch, error, text):
    others = []
    monkeypatch.setattr(sys, "excepthook", lambda *raised: others.append(raised))
    with pytest.raises(type(error)), job_log(tmp_path / "job.log", "job"):
        raise error
    for said in ((tmp_path / "job.log").read_text(), capsys.readouterr().err):
        assert re.search(rf"stopped after [\d.]+ s: {re.escape(text)}$", said.strip())
        assert "Traceback" not in said
    # Python, which writes what ends a process, does not say it again; of others it does.
    sys.excepthook(type(error), error, None)
    assert others == []
    sys.excepthook(ValueError, ValueError("another"), None)
    assert len(others) == 1


def test_logging_is_as_before_afterwards(tmp_path):
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    with job_log(tmp_path / "job.log", "job"):
        assert root.handlers != before[0]
    assert (root.handlers, root.level) == before


def test_warnings_are_logged(tmp_path):
    with job_log(tmp_path / "job.log", "job"):
        np.array([1.0]) / np.array([0.0])
    assert "divide by zero" in (tmp_path / "job.log").read_text()


def test_log_without_a_file(capsys):
    with job_log(None, "job") as log:
        log.info("hello")
    assert "hello" in capsys.readouterr().err


def test_progress_off_a_terminal_is_log_lines(caplog):
    with caplog.at_level(logging.INFO, logger="nsdrecon.logs"):
        assert list(progress(range(3), description="images", unit="image")) == [0, 1, 2]
        with progress(total=1000, description="bytes", unit="B", unit_scale=True) as bar:
            bar.update(1000)
    assert "images: 100%" in caplog.text
    assert "3/3" in caplog.text
    assert "bytes: 100%" in caplog.text
    assert all("\r" not in message and message.strip() for message in caplog.messages)


def peak_memory_after(*lines):
    """What `peak_memory_mb` says in a new process that ran these lines before."""
    script = [*lines, "from nsdrecon.logs import peak_memory_mb"]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([*script, "print(peak_memory_mb())"])],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
        check=True,
    )
    return float(done.stdout)


def test_peak_memory_is_the_largest_so_far():
    plain = peak_memory_after()
    assert 5 < plain < 200
    assert peak_memory_after("x = b'x' * 300_000_000", "del x") > plain + 200


def test_peak_memory_counts_this_process_only():
    """A job that a large parent starts is not charged with the parent's memory."""
    ballast = b"x" * 300_000_000
    assert peak_memory_after() < 200 < len(ballast) / 1e6


def test_versions():
    found = versions("numpy", "no-such-package-at-all")
    assert found == {"numpy": np.__version__, "no-such-package-at-all": "not installed"}
