"""Identities of an offer's lines, from one catalog to the next (decision 0012, section 2).

A line is a grant of a plan version or an add-on. Catalogs are edited: lines are put above others, their
amounts change, a list gets names. What customers were given of a line is counted by its identity, so an edit
must not make two lines of one, nor one of two. Where it could be either, the catalog is refused; see
`Unclear`."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from fastcheck.amounts import credits
from fastcheck.hub.catalog.product import EMPTY, Offer, PlanGrant, Pool, Product
from fastcheck.hub.catalog.registry import ADDON, Family, Line, Registry
from fastcheck.ledger.model import GrantKind
from fastcheck.ledger.periods import Anchor, Span

ShapeOf = tuple[str, GrantKind, Span | None, Anchor]


@dataclass(frozen=True)
class Unclear:
    """Lines of one shape of which it cannot be said which was which."""

    plan: str | None
    """None: of an add-on."""
    version: int
    addon: str | None
    before: tuple[str, ...]
    """What the old lines say, in words."""
    after: tuple[str, ...]
    since: int | None = None
    """The version that the old lines are of, where the new ones are of a version that was not there."""

    def told(self, used: str = "") -> str:
        """What is unclear and what to do; `used` says who is concerned."""
        before, after = "; ".join(self.before), "; ".join(self.after)
        offer = f"plan {self.plan} version {self.version}" if self.addon is None else f"add-on {self.addon}"
        if self.since is None:
            what = f"{offer}: the lines [{before}] become [{after}], and nothing says which was which"
            how = "give them names as they are, then change them"
        else:
            what = f"{offer}: nothing says which of its lines [{after}] is which of "
            what += f"version {self.since} [{before}]"
            how = "give them the same names in both versions"
        return f"{what}; {used}: {how}" if used else f"{what}: {how}"


def first(product: Product) -> tuple[Registry, tuple[Unclear, ...]]:
    """The lines of a ledger's first catalog."""
    return following(None, EMPTY, product, 0)


def following(
    previous: Registry | None, old: Product, new: Product, now: int
) -> tuple[Registry, tuple[Unclear, ...]]:
    """The lines of a catalog that takes the place of another at `now`, and what is unclear of them: where
    anything is, the registry must not be used. `old` has the identities of `previous`, which is None for a
    ledger that kept none; there they are places."""
    before = previous or places(old)
    unclear: list[Unclear] = []
    # What left the catalog keeps its names and numbers.
    plans = {name: replace(family, offers={}) for name, family in before.plans.items()}
    were = _versions(old)
    for name, versions in _versions(new).items():
        family = _Family(before.plans.get(name, Family()), versions, now)
        for version in sorted(versions):
            for olds, news, since in family.follow(version, were.get(name, {})):
                words = _words(new if family.has(since) else old, olds), _words(new, news)
                unclear.append(Unclear(name, version, None, *words, since))
        plans[name] = family.finished()
    addons = {name: replace(family, offers={}) for name, family in before.addons.items()}
    for name, offer in new.addons.items():
        family = _Family(before.addons.get(name, Family()), {ADDON: offer}, now)
        had = old.addons.get(name)
        for olds, news, _ in family.follow(ADDON, {} if had is None else {ADDON: had}):
            unclear.append(Unclear(None, ADDON, name, _words(old, olds), _words(new, news)))
        addons[name] = family.finished()
    return Registry(plans, addons), tuple(unclear)


def places(product: Product) -> Registry:
    """The lines of a catalog that was put before lines had identities."""

    def family(versions: Mapping[int, Offer]) -> Family:
        offers = {
            version: tuple(Line(str(place), 0) for place in range(len(offer.grants)))
            for version, offer in versions.items()
        }
        return Family(offers, max(map(len, offers.values()), default=0))

    return Registry(
        {name: family(versions) for name, versions in _versions(product).items()},
        {name: family({ADDON: offer}) for name, offer in product.addons.items()},
    )


def in_words(grant: PlanGrant, pool: Pool | None) -> str:
    """What a line gives, such as `1,000 ai_credits every month`."""
    amount = "?" if pool is None else f"{credits(grant.amount, pool.scale):,}"
    if grant.every is None:
        often = "once"
    else:
        count, unit = grant.every.count, grant.every.unit.value
        often = f"every {unit}" if count == 1 else f"every {count} {unit}s"
        often += " from the anniversary" if grant.anchor is Anchor.ANNIVERSARY else ""
    kind = "" if grant.kind is GrantKind.PLAN else f", {grant.kind.value}"
    return f"{amount} {grant.pool} {often}{kind}"


class _Family:
    """A plan or an add-on, on the way from one catalog to the next."""

    def __init__(self, before: Family, offers: Mapping[int, Offer], now: int) -> None:
        self._offers, self._now = offers, now
        self._names = dict(before.names)
        self._next = before.next
        self._used = {grant.name for offer in offers.values() for grant in offer.grants if grant.name}
        """Names that lines have now, in any version."""
        self._lines: dict[int, tuple[Line, ...]] = {}

    def follow(
        self, version: int, earlier: Mapping[int, Offer]
    ) -> Iterator[tuple[list[PlanGrant], list[PlanGrant], int | None]]:
        """Finds out which lines of a version are which; what is unclear. Versions come in their order.
        `earlier`: the versions as they were."""
        grants = self._offers[version].grants
        same = earlier.get(version)
        base, since = (same.grants, None) if same is not None else self._base(version, earlier)
        ids: list[str | None] = [self._names.get(grant.name) if grant.name else None for grant in grants]
        olds = list(base)
        news = [place for place, id in enumerate(ids) if id is None]
        if any(grants[place].name for place in news):
            # A name is an identity: it takes over a line without one, unless a line of this or another
            # version has that by its own name.
            named = {id for name, id in self._names.items() if name in self._used}
            olds = [grant for grant in olds if grant.name is None and grant.id not in named]
        found, unclear = matched(olds, [grants[place] for place in news])
        for place, line in zip(news, found, strict=True):
            if line is not None:
                ids[place] = olds[line].id
        self._take_over(grants, ids, set(news))
        for place in news:
            if ids[place] is None:
                ids[place] = self._new(grants[place].name)
        added = {grant.id: grant.added_at for grant in same.grants} if same is not None else None
        self._lines[version] = tuple(
            Line(id, 0 if added is None else added.get(id, self._now)) for id in ids if id is not None
        )
        for before, after in unclear:
            yield [olds[n] for n in before], [grants[news[n]] for n in after], since

    def _base(self, version: int, earlier: Mapping[int, Offer]) -> tuple[tuple[PlanGrant, ...], int | None]:
        """The lines that a new version is held against: of the newest version before it, as it is now or as
        it was; else of the oldest after it, else none."""
        known = {*earlier, *self._lines}
        below, above = [one for one in known if one < version], [one for one in known if one > version]
        nearest = max(below) if below else min(above, default=None)
        if nearest is None:
            return (), None
        lines = self._lines.get(nearest)
        if lines is None:
            return earlier[nearest].grants, nearest
        grants = self._offers[nearest].grants
        return tuple(replace(grant, id=line.id) for grant, line in zip(grants, lines, strict=True)), nearest

    def _take_over(self, grants: Sequence[PlanGrant], ids: Sequence[str | None], new: set[int]) -> None:
        """Names keep from now on what they took over; another name that had it before has it no more."""
        for place in new:
            name, id = grants[place].name, ids[place]
            if name and id is not None:
                self._names = {one: held for one, held in self._names.items() if held != id}
                self._names[name] = id

    def _new(self, name: str | None) -> str:
        """An identity that no line ever had. A name is one, unless it reads like a number, has a colon (keys
        of grants are parts with colons between them), or another name took over what it stood for."""
        if name and not name.isdigit() and ":" not in name and name not in self._names.values():
            id = name
        else:
            id, self._next = str(self._next), self._next + 1
        if name:
            self._names[name] = id
        return id

    def has(self, version: int | None) -> bool:
        """Whether a version was held against, as it is now and not as it was."""
        return version in self._lines

    def finished(self) -> Family:
        """The family as it is from now on."""
        return Family(self._lines, self._next, self._names)


def matched(
    olds: Sequence[PlanGrant], news: Sequence[PlanGrant]
) -> tuple[list[int | None], list[tuple[list[int], list[int]]]]:
    """For each new line, which old line it is, if any: one that says the same (of several the first of each),
    else the one of the same shape where one old and one new line of it are left. And lines of which several
    old and several new ones are left, (old, new)."""
    waiting: dict[PlanGrant, deque[int]] = defaultdict(deque)
    for place, grant in enumerate(olds):
        waiting[_content(grant)].append(place)
    found: list[int | None] = []
    for grant in news:
        same = waiting[_content(grant)]
        found.append(same.popleft() if same else None)
    matched_olds = {line for line in found if line is not None}
    left: dict[ShapeOf, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for place, grant in enumerate(olds):
        if place not in matched_olds:
            left[_shape(grant)][0].append(place)
    for place, grant in enumerate(news):
        if found[place] is None:
            left[_shape(grant)][1].append(place)
    unclear = []
    for before, after in left.values():
        if len(before) == len(after) == 1:
            found[after[0]] = before[0]
        elif len(before) > 1 and len(after) > 1:
            unclear.append((before, after))
    return found, unclear


def _content(grant: PlanGrant) -> PlanGrant:
    """All that a line says, without what it is called and what the ledger knows of it."""
    return replace(grant, id="", added_at=0, name=None)


def _shape(grant: PlanGrant) -> ShapeOf:
    return grant.pool, grant.kind, grant.every, grant.anchor


def _versions(product: Product) -> dict[str, dict[int, Offer]]:
    found: dict[str, dict[int, Offer]] = {}
    for (plan, version), offer in product.plans.items():
        found.setdefault(plan, {})[version] = offer
    return found


def _words(product: Product, grants: Sequence[PlanGrant]) -> tuple[str, ...]:
    """Lines in words; several that read alike are one with their number."""
    counted = Counter(
        (f"{grant.name}: " if grant.name else "") + in_words(grant, product.pools.get(grant.pool))
        for grant in grants
    )
    return tuple(text if count == 1 else f"{text} ({count} times)" for text, count in counted.items())
