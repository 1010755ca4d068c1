"""Only the process that owns a ledger loads the database modules."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fastcheck import Entitlements

CATALOG = Path(__file__).parents[2] / "examples" / "quickstart" / "catalog.yaml"
HEAVY = (
    "[one for one in ('sqlalchemy', 'alembic', 'psycopg', 'websockets', 'httpx', 'starlette') "
    "if one in sys.modules]"
)


def answer(code: str, *args: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", code, *args], check=True, capture_output=True, text=True, timeout=60
    )
    return ran.stdout.strip()


def test_importing_fastcheck_loads_no_database_module() -> None:
    assert answer(f"import sys, fastcheck; print({HEAVY})") == "[]"


def test_a_worker_attaches_and_spends_without_them(tmp_path: Path) -> None:
    code = f"""
import sys
from fastcheck import Entitlements
with Entitlements.attach(sys.argv[1]) as ents:
    assert ents.consume("acme", "api_calls", 1)
    ents.admin.put_customer("second", plan="free")
    print({HEAVY})
"""
    with Entitlements.open(tmp_path, catalog=CATALOG) as ents:
        ents.admin.put_customer("acme", plan="pro")
        assert answer(code, str(tmp_path)) == "[]"


def test_an_owner_loads_sqlalchemy_alone(tmp_path: Path) -> None:
    code = f"""
import sys
from fastcheck import Entitlements
Entitlements.open(sys.argv[1], catalog=sys.argv[2]).close()
Entitlements.open(sys.argv[1]).close()
print({HEAVY})
"""
    Entitlements.open(tmp_path, catalog=CATALOG).close()
    assert answer(code, str(tmp_path), str(CATALOG)) == "['sqlalchemy']"
