"""huey: for each line `N`, enqueues N jobs and works them off, and answers with the nanoseconds of both.

To claim is to delete: a job whose worker dies is gone.
"""

import sys
import time

from huey import SqliteHuey

huey = SqliteHuey(filename=sys.argv[1])
# It knows syncing on (FULL) and off only; this is its one connection.
huey.storage.conn.execute("PRAGMA synchronous = NORMAL")


@huey.task()
def job():
    pass


for line in sys.stdin:
    jobs = int(line)
    begun = time.perf_counter_ns()
    for _ in range(jobs):
        job()
    enqueued = time.perf_counter_ns()
    for _ in range(jobs):
        huey.execute(huey.dequeue())
    print(enqueued - begun, time.perf_counter_ns() - enqueued, flush=True)
