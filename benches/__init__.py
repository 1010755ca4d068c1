"""The benchmark suite: `python -m benches.run`, `pytest benches`, `python -m benches.instructions`."""
