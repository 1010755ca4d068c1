"""A double of `Entitlements` for tests of the glue: balances in a dict, the rules of docs/replay.md, no
storage.
"""

import re
from decimal import Decimal
from types import SimpleNamespace


class NaiveHold:
    def __init__(self, engine, customer, rates, held):
        self.engine, self.customer, self.rates, self.held = engine, customer, rates, held

    def __bool__(self):
        return self.held is not None

    def commit(self, actual, /):
        balance = self.engine.balance
        available = balance[self.customer] + self.held
        cost = sum(n * self.rates[quantity] for quantity, n in actual.items())
        charged = min(cost, available)
        balance[self.customer] = available - charged
        return SimpleNamespace(charged=charged, shortfall=cost - charged)


class NaiveEntitlements:
    """Reads just enough of a rendered replay catalog: rates per feature, features and amount per plan."""

    def __init__(self, catalog):
        self.rates = {
            model: {quantity: Decimal(rate) for quantity, rate in re.findall(r"(\w+): ([0-9.]+)", rates)}
            for model, rates in re.findall(r"^  (\S+): \{kind: credit, .*rates: \{(.*)\}\}", catalog, re.M)
        }
        plans = re.findall(r"^  (\w+): +#.*\n    features: \{(.*)\}\n.*\n.*amount: ([0-9.]+)", catalog, re.M)
        self.plans = {plan: (re.findall(r"(\S+): true", has), Decimal(amount)) for plan, has, amount in plans}
        self.plan_of, self.balance, self.admin = {}, {}, self

    def put_customers(self, customers, /):
        for customer in customers:
            self.plan_of[customer["id"]] = customer["plan"]
            self.balance.setdefault(customer["id"], self.plans[customer["plan"]][1])

    async def prewarm(self, wanted, /):
        pass

    def check(self, customer, feature, /):
        entitled = feature in self.plans[self.plan_of[customer]][0]
        return entitled and self.balance[customer] >= min(self.rates[feature].values())

    def _cost(self, feature, amount):
        return sum(n * self.rates[feature][quantity] for quantity, n in amount.items())

    def decide(self, customer, feature, amount, /):
        entitled = feature in self.plans[self.plan_of[customer]][0]
        return SimpleNamespace(reason="exhausted" if entitled else "not_entitled")

    def reserve(self, customer, feature, amount, /):
        cost = self._cost(feature, amount)
        if cost > self.balance[customer]:
            return NaiveHold(self, customer, None, None)
        self.balance[customer] -= cost
        return NaiveHold(self, customer, self.rates[feature], cost)
