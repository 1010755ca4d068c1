"""The main job: a trace of requests through entitlements, with totals that can be checked.

May import: base, the public package.
Boundaries: A user of the public surface, like any other.

- `trace`     reads `ts_ms,session,input_tokens,cached_input_tokens,output_tokens` files
- `rates`     a rate card and a catalog template become a catalog file
- `assign`    the stated rule that gives each session its plan and its model
- `run`       the loop
- `report`    what happened: totals by plan, model and reason, time per call
- `job`       all of it, from files to a report
- `plot`      burn over time as an SVG picture
- `generate`  a trace from a seed, for machines without one
- `example`   the catalog template and the rate card of `fastcheck demo`
"""
