"""The bars of the project, measured: `python -m bench` prints the table (docs/performance.md)."""
