"""A fault for one job: Python runs this file first in every process whose path names its folder.

Every file that the workflow writes gets its final name by a rename. Each of them is noted in
``written.txt`` just before. Where ``fault.txt`` names a file, or says how many have been noted, the
job that is about to finish it stops there, once: ``fail`` raises an error, ``wait`` waits until
somebody ends the job or writes ``released``; ``named`` waits when the file has just got its name,
``ended`` when the job is done; ``noted`` goes on.
"""

import atexit
import time
from pathlib import Path

_replace = Path.replace


def _replace_or_fault(self, target):
    if self.name.startswith(".partial-"):
        with Path("written.txt").open("a") as stream:
            stream.write(f"{Path(target).as_posix()}\n")
        _fault(Path(target), ("fail", "wait", "noted"))
    result = _replace(self, target)
    if self.name.startswith(".partial-"):
        _fault(Path(target), ("named", "ended"))
    return result


def _fault(target, kinds):
    order = Path("fault.txt")
    try:
        kind, _, which = order.read_text().partition(" ")
        if kind not in kinds or not (_enough if which.isdecimal() else _named)(target, which):
            return
        order.unlink()
    except FileNotFoundError:  # there is none, or another job has just taken it
        return
    if kind == "fail":
        raise RuntimeError("a fault on purpose")
    if kind == "noted":
        Path("waiting").touch()
    elif kind == "ended":
        atexit.register(_wait)
    else:
        _wait()


def _named(target, name):
    return target.as_posix() == name


def _enough(_target, number):
    return len(Path("written.txt").read_text().splitlines()) >= int(number)


def _wait():
    Path("waiting").touch()
    end = time.monotonic() + 240
    while not Path("released").exists() and time.monotonic() < end:
        time.sleep(0.2)


Path.replace = _replace_or_fault
