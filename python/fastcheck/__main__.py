"""`python -m fastcheck`."""

from fastcheck.cli import main

raise SystemExit(main())
