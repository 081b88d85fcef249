"""What was freed is the system's again, in a process of its own."""

import subprocess
import sys

import pytest

SCRIPT = """
from pathlib import Path
from threading import Thread
from media_pipeline.memory import give_back, share_one_heap

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 10**6

kept = []
def hold_for_a_while():
    blocks = [bytes(4000) for _ in range(10_000)]
    kept.extend(blocks[::100])  # here and there one stays, so that nothing goes back by itself

share_one_heap()
for _ in range(3):
    thread = Thread(target=hold_for_a_while)
    thread.start()
    thread.join()
full = resident_mb()
give_back()
print(full, resident_mb())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_what_threads_freed_goes_back_although_some_stays():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60)
    full, left = map(float, done.stdout.split())
    assert full - left > 25, (full, left)
