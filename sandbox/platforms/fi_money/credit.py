"""The credit report and the provident fund: documents in which almost everything is text."""

from datetime import date, timedelta
from typing import Any

from sandbox.randomness import seeded_random

_LENDERS = ["Malabar Finance", "Konkan Bank", "Sahyadri Bank", "Jhelum Bank", "Nila Capital"]
_EMPLOYERS = ["KONARK SOFTWARE PRIVATE LIMITED", "GODAVARI ANALYTICS PVT LTD", "NILA RETAIL LTD"]


def credit_report(seed: int, phone: str, today: date) -> dict[str, Any]:
    rng = seeded_random(seed, "credit", phone)
    accounts = [
        {
            "subscriberName": lender,
            "portfolioType": "R" if number == 0 else "I",
            "accountType": "10" if number == 0 else rng.choice(["01", "02", "05"]),
            "openDate": f"20{rng.randint(12, 24)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}",
            **({"creditLimitAmount": "200000"} if number == 0 else {}),
            "highestCreditOrOriginalLoanAmount": f"{rng.randrange(50, 500) * 1000}",
            "accountStatus": rng.choice(["11", "11", "71"]),
            "paymentRating": "0",
            "currentBalance": f"{rng.randrange(1_000, 90_000)}",
            "amountPastDue": rng.choice(["0", "0", "2500"]),
            "currencyCode": "INR",
        }
        for number, lender in enumerate(rng.sample(_LENDERS, k=rng.randint(2, 4)))
    ]
    outstanding = sum(int(account["currentBalance"]) for account in accounts)
    born = date(rng.randint(1975, 2001), rng.randint(1, 12), rng.randint(1, 28))
    data = {
        "userMessage": {"userMessageText": "Normal Response"},
        "creditProfileHeader": {
            "reportDate": f"{today.replace(day=1):%Y%m%d}",
            "reportTime": "023304",
        },
        "currentApplication": {
            "currentApplicationDetails": {
                "enquiryReason": "6",
                "amountFinanced": "0",
                "currentApplicantDetails": {"dateOfBirthApplicant": f"{born:%Y%m%d}"},
            }
        },
        "creditAccount": {
            "creditAccountSummary": {
                "account": {
                    "creditAccountTotal": str(len(accounts)),
                    "creditAccountActive": str(len(accounts)),
                    "creditAccountDefault": "0",
                    "creditAccountClosed": "0",
                },
                "totalOutstandingBalance": {"outstandingBalanceAll": str(outstanding)},
            },
            "creditAccountDetails": accounts,
        },
        "score": {"bureauScore": f"{rng.randint(620, 810)}", "bureauScoreConfidenceLevel": "H"},
    }
    return {"creditReports": [{"creditReportData": data, "vendor": "EXPERIAN"}]}


def jobs(seed: int, phone: str, count: int) -> list[dict[str, Any]]:
    """The employments that paid into the provident fund, oldest first."""
    rng = seeded_random(seed, "epf", phone)
    found = []
    joined = date(rng.randint(2012, 2018), rng.randint(1, 12), rng.randint(1, 28))
    for number in range(count):
        left = joined + timedelta(days=rng.randint(500, 1200))
        still_there = number == count - 1
        share = rng.randrange(20, 250) * 1000
        found.append(
            {
                "est_name": _EMPLOYERS[number],
                "member_id": "KABN*****************",
                "office": "(RO)BENGALURU",
                "doj_epf": f"{joined:%d-%m-%Y}",
                "doe_epf": "NOT AVAILABLE" if still_there else f"{left:%d-%m-%Y}",
                "doe_eps": "NOT AVAILABLE" if still_there else f"{left:%d-%m-%Y}",
                "pf_balance": {
                    "net_balance": str(2 * share),
                    "employee_share": {"credit": str(share), "balance": str(share)},
                    # An older job lacks the balance of a share (Fi sample data).
                    "employer_share": {"credit": str(share)}
                    | ({"balance": str(share)} if still_there else {}),
                },
            }
        )
        joined = left + timedelta(days=15)
    return found


def epf_details(seed: int, phone: str, count: int) -> dict[str, Any]:
    employments = jobs(seed, phone, count)
    total = epf_balance(employments)
    return {
        "uanAccounts": [
            {
                "phoneNumber": {},
                "rawDetails": {
                    "est_details": employments,
                    "overall_pf_balance": {
                        "pension_balance": str(total // 4),
                        "current_pf_balance": str(total),
                        "employee_share_total": {
                            "credit": str(total // 2),
                            "balance": str(total // 2),
                        },
                    },
                },
            }
        ]
    }


def epf_balance(employments: list[dict[str, Any]]) -> int:
    return sum(int(job["pf_balance"]["net_balance"]) for job in employments)
