"""What holding costs and brings: borrowed shares, funding of perpetual futures, interest on cash.

Each model is a frozen class. In a configuration it is named by type, `borrow_model = { type = "BorrowFee",
rate = 0.03 }`; from Python an instance is passed.
"""

from __future__ import annotations

from ml4t.funding.borrow import BorrowFee, IbkrBorrow
from ml4t.funding.interest import CashInterest
from ml4t.funding.perpetual import PerpetualFunding, funding_rate

__all__ = ["BorrowFee", "CashInterest", "IbkrBorrow", "PerpetualFunding", "funding_rate"]
