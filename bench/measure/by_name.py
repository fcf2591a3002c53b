"""Small requests through the HTTP gateway, beside other reverse proxies."""

import statistics

from .forwarding import alone
from .http.sides import DIRECT, HAPROXY, NGINX_PROXY, OURS
from .report import Goal, Section, table
from .tcp.loads import CONNECTIONS

SIDES = [OURS, HAPROXY, NGINX_PROXY, DIRECT]
FIGURES = [("requests_per_second", "requests/s", 0), ("p99_ms", "p99 ms", 2), ("cpu_us_per_request", "CPU µs each", 1)]


def measure(plan):
    figures = alone(plan, "measure.http")
    seen = {side: {name: statistics.median(one[name] for one in figures[side]) for name, _, _ in FIGURES} for side in SIDES}
    return Section("HTTP by name", explain(plan) + "\n\n" + rows(seen), goals(seen))


def goals(seen):
    better = max([HAPROXY, NGINX_PROXY], key=lambda side: seen[side]["requests_per_second"])
    rate = seen[OURS]["requests_per_second"] / seen[better]["requests_per_second"]
    cpu = seen[OURS]["cpu_us_per_request"] / seen[HAPROXY]["cpu_us_per_request"]
    requests = f"requests by name over {CONNECTIONS} connections"
    return [
        Goal(f"{requests}, a second", better, "≥ 0.9 ×", f"{rate:.2f} ×", rate >= 0.9),
        Goal(f"{requests}, CPU of each", HAPROXY, "≤ 1.1 ×", f"{cpu:.2f} ×", cpu <= 1.1),
        Goal(f"{requests}, CPU of each, then", HAPROXY, "< 1 ×", f"{cpu:.2f} ×", cpu < 1),
    ]


def rows(seen):
    def cells(side):
        for name, _, digits in FIGURES:
            value, base = seen[side][name], seen[HAPROXY][name]
            yield from [f"{value:,.{digits}f}", f"{value / base:.2f}"] if value else ["", ""]

    head = ["through"] + [text for _, name, _ in FIGURES for text in (name, "×")]
    return table(head, [[side, *cells(side)] for side in SIDES])


def explain(plan):
    return f"""As above, {plan.rounds} rounds of {plan.load_seconds} s, alternating; × is against HAProxy in HTTP mode with one thread, as nginx has one worker; ours has a
thread for every two cores. All look the host up, keep connections to either side, and set `X-Forwarded-For`, `-Proto` and `-Host`. Ours is the stand's: the real server, proxy and control over
the engine in memory, with each request counted as a flow. Requests are wrk's, answers of 100 bytes are nginx's."""
