"""litequeue: for each line `N`, enqueues N jobs and works them off, and answers with the nanoseconds of both.

It sets WAL and synchronous = NORMAL itself.
"""

import sys
import time

from litequeue import LiteQueue

queue = LiteQueue(sys.argv[1])

for line in sys.stdin:
    jobs = int(line)
    begun = time.perf_counter_ns()
    for _ in range(jobs):
        queue.put("1")
    enqueued = time.perf_counter_ns()
    for _ in range(jobs):
        queue.done(queue.pop().message_id)
    print(enqueued - begun, time.perf_counter_ns() - enqueued, flush=True)
