"""A proof that a strategy decides with what it could know, or what it read beyond that.

Inside the engine nothing leaks; what leaks comes along: a frame in a global, a column computed before the
run, a file read in the constructor. `audit` runs a strategy again and again with another future and
compares what it decided.
"""

from __future__ import annotations

from ml4t.backtest.audit.alter import alter
from ml4t.backtest.audit.compare import Decision
from ml4t.backtest.audit.proof import audit
from ml4t.backtest.audit.report import AuditReport, Finding

__all__ = ["AuditReport", "Decision", "Finding", "alter", "audit"]
