#!/usr/bin/env python3
"""Breaks the law of where grants come from (decision 0012), one row at a time, and asserts that the named tests
notice. As `ledger_mutants`.

    python -m proofs.grants_mutants [NAME…]
"""

from __future__ import annotations

import sys

from proofs.ledger_mutants import Mutant, main

LINES, TIMELINE = "ledger/lines.py", "hub/use_cases/timeline.py"
ACCOUNTS, RECORDS = "hub/use_cases/accounts.py", "hub/use_cases/records.py"
CASES = "tests/host/test_where_grants_come_from.py"
BEHIND = "tests/hub/test_accounts_behind.py"
MERGING, RESTORED, MERGED = "ledger/merging.py", "tests/hub/test_deletions.py", "tests/hub/test_merging.py"

MUTANTS = [
    # As if booked when it takes effect.
    Mutant("accounts are worked from now on alone", TIMELINE, "if stored.changed_at > after:", "if False:", BEHIND + " -k every_plan"),
    Mutant("the catalog has no past", TIMELINE, "known = [first, *(one for one in later if one[0] <= until)]", "known = [[first, *later][-1]]", CASES + " -k 'keep_their_amount or rollover_rises'"),
    Mutant("what one instant saw leaves no trace", "hub/use_cases/rewriting.py", "if old.changed_at >= accounts.now:", "if False:", CASES + " -k 'leaves_what_it_gave or stays_when'"),
    Mutant("an export books nothing", "hub/use_cases/finance.py", "booking.book(call, UPDATES_PER_TRANSACTION)", "False", CASES + " -k its_months_export"),
    Mutant("lent accounts are booked", "hub/use_cases/booking.py", " and (lease is None or not lease.open)", "", "tests/hub/test_hub_turn.py -k left_to_the_lease"),
    Mutant("the future knows no moves", ACCOUNTS, "self._moves[number] = self.statements.moves_ahead(number)", "self._moves[number] = ()", CASES + " -k knows_moves"),
    Mutant("a move that was late is written in the past", ACCOUNTS, "self.statements.put_accounts(written, self.author, self.written_at)", "self.statements.put_accounts(written, self.author, self.now)", BEHIND + " -k written_now"),
    # Identities.
    Mutant("lines added later are given to all", "hub/catalog/sources.py", "if grant.every is None and grant.added_at > came_at and not grant.existing:", "if False:", CASES + " -k known_by"),
    Mutant("a line that left ends at once", LINES, "elif self._change.why is Why.CATALOG or key not in self._before:", "elif False:", "tests/unit/test_ledger_lines.py"),
    Mutant("a lowered line falls at once", LINES, "elif now < was and self._change.why is Why.CUSTOMER and agreed.cost is None:", "elif now < was and agreed.cost is None:", "tests/unit/test_ledger_lines.py"),
    # What was used counts.
    Mutant("a raised amount is all new", LINES, "own = max(0, allowed - used)", "own = allowed", CASES + " -k 'mints_nothing or mint_nothing'"),
    Mutant("burning counts nothing", "ledger/burning.py", "slot.used += taken\n", "slot.used += 0\n", CASES + " -k 'mints_nothing or mint_nothing'"),
    Mutant("nothing is carried between plans", LINES, "more = left - counted", "more = 0", CASES + " -k plans_that_go"),
    Mutant("a paid line falls at once", LINES, " and agreed.cost is None:", ":", "tests/unit/test_ledger_lines.py"),
    Mutant("a refill forgets nothing", "ledger/engine.py", "slot.lapsed = False\n        slot.allowed, slot.used = slot.grant.amount, 0", "slot.lapsed = False\n        slot.allowed = slot.grant.amount", "tests/unit/test_ledger_lines.py"),
    Mutant("what comes back to a fallen line may be used", "ledger/burning.py", "self._take(slot, slot.remaining - slot.rolled - max(0, slot.allowed - slot.used), VOID, at)", "pass", "tests/unit/test_ledger_lines.py"),
    # Stays.
    Mutant("an end that is moved moves nothing", LINES, "if before is None or before.ends_at != line.ends_at:", "if False:", CASES + " -k credits_end"),
    Mutant("a second stay is the first", LINES, "return one.parked is None or not _runs(one, self._at)", "return False", CASES + " -k bought_again_is_full"),
    Mutant("what ended goes on", RECORDS, "goes_on = had is not None and had.until_ms > now", "goes_on = had is not None", CASES + " -k second_trial"),
    Mutant("a bought trial leaves what it gave", LINES, "if not once or key.startswith(_TRIAL):", "if not once:", CASES + " -k becomes_a_plan_starts"),
    Mutant("a bought trial's meter goes on", LINES, "and recurrence.anchor is periods.Anchor.ANNIVERSARY\n", "and False\n", CASES + " -k anniversary_starts"),
    # Deletion.
    Mutant("a deletion takes for good", LINES, "parked=left,\n        rolled=0", "parked=None,\n        rolled=0", CASES + " -k 'again_goes_on or comes_back'"),
    Mutant("a deletion takes nothing", ACCOUNTS, "else taken(account, pool.rules, other.at)", "else account", "tests/hub/test_hub_service.py -k deleting_a"),
    Mutant("gifts come back with the id", LINES, "return grant.kind in BOUGHT or source.startswith(PURCHASE)", "return True", "tests/hub/test_hub_service.py -k deleting_a"),
    Mutant("a restore knows nothing of the time since", ACCOUNTS, "account = self._through(account, pool, found, deleted.changed_at)", "account = advance(account, pool.rules, self.now)", RESTORED + " -k never_deleted"),
    Mutant("a restore comes twice", ACCOUNTS, "if since.restored and account.as_of >= other.at:", "if False:", RESTORED + " -k counts_twice"),
    Mutant("a catalog takes what a deletion left", ACCOUNTS, "return account if one.stored.record.deleted else taken", "return taken", RESTORED + " -k counts_twice"),
    Mutant("what came late is lost", ACCOUNTS, "max(0, then.written_off - account.written_off)", "0", RESTORED + " -k given_back"),
    Mutant("who is put again can be restored", "hub/use_cases/customers.py", "statements.forget_deletion(number)", "pass", RESTORED + " -k are_listed"),
    Mutant("a freed id leaves its use", "hub/store/statements/deletions.py", "self._db.execute(_NAME_USAGE, {\"old_id\": id, \"new_id\": freed})", "pass", RESTORED + " -k comes_late"),
    # Merging.
    Mutant("a merge forgets what was used", MERGING, "used = plan_use(gone.holdings, gone.at)", "used = 0", MERGED + " -k used_of_a_plan"),
    Mutant("a merge owes the use of a meter twice", MERGING, "held, burned=held.burned - back, remaining=held.remaining + back,", "held, burned=held.burned, remaining=held.remaining,", MERGED + " -k meter_counts"),
    Mutant("a merge sells the whole grant again", MERGING, "return Cost(cost.amount * held.granted // amount - cost.amount * out // amount, cost.currency)", "return cost", MERGED + " -k by_hand"),
    Mutant("a merge rounds what recurs", MERGING, "put_in = held.granted - (held.granted - left) // grant.amount * grant.amount", "put_in = left", MERGED + " -k conserved"),
    Mutant("a merge forgives what is owed", MERGING, "        kept.owe(owed)\n    for", "    for", MERGED + " -k is_owed"),
]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], MUTANTS))
