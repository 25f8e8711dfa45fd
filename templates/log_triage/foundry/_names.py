"""Random but believable names, so that no model can learn one by heart."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

__all__ = ["Names"]

_NOUNS = """
account agent archive audit badge balance basket batch beacon billing bitmap booking border branch bridge broker
bucket budget buffer cache calendar canvas carrier cart catalog channel chart checkout cipher client clock
cluster codec column comment config contact contract coupon courier crate credit cursor customer dataset
deadline delivery device digest dispatch document domain draft driver engine entity envelope event export
feature feed filter fleet folder forecast frame gateway glossary grant graph grid handler harvest header holiday
hook image import index ingest inventory invoice item journal kernel label lambda launch layer ledger lesson
library license listing loader locale lookup mailer manifest margin marker matrix media member menu merchant
metric migration mirror module monitor native notice order outlet packet palette parcel parser partner patch
payload payment payroll period permit photo pipeline planner player plugin policy portal preview price printer
profile project prompt proxy quota quote radar random rating reader receipt record refund region registry
reminder render report request resolver result retry review reward rollup roster route sample scanner schedule
schema search season secret segment sensor series session shard shift signal sketch snapshot socket source
sprint stamp station stock storage stream student summary supply survey switch symbol table tariff task tenant
ticket token topic tracker transfer trigger upload vector vendor version voucher wallet warehouse webhook weight
widget window worker writer zone
""".split()
_VERBS = """
add apply archive assign attach build cache calculate check clamp collect combine commit compare compute convert
count create decode delete derive detect encode estimate expand export extract fetch filter find flatten format
group import index insert join list load lookup map match measure merge migrate move normalize notify open order
pack parse pick plan prepare print publish pull push read rebuild reduce refresh register release remove rename
render repair replace report reset resolve restore retry rotate round save scale scan schedule score select send
serialize sort split store strip submit sum sync tokenize track trim unpack update upload validate verify write
""".split()
_ADJECTIVES = """
active atomic basic bold brisk bulk calm cold daily dense direct dual early eager empty exact fast final fixed
flat fresh global hidden idle inner keyed late lazy light linear local loose main micro mini native nested open
outer plain prime quick quiet rapid raw remote rich safe shared sharp silent simple slim smart soft solid sparse
stable static steady strict swift tiny total valid vivid warm weekly wide
""".split()
_SUFFIXES = ("client", "core", "kit", "lib", "sdk", "tools", "utils", "io", "db", "rpc", "cli", "plus", "lite", "next")


class Names:
    """Draws names from one seeded generator; never returns the same name twice in one project."""

    def __init__(self, rng: random.Random) -> None:
        """Draw from ``rng``."""
        self._rng = rng
        self._used: set[str] = set()

    def noun(self) -> str:
        """A lower-case word: ``invoice``."""
        return self._fresh(lambda: self._rng.choice(_NOUNS))

    def module(self) -> str:
        """A Python module or file stem: ``invoice_parser`` or ``invoice``."""
        return self._fresh(lambda: "_".join(self._rng.sample(_NOUNS, self._rng.choice((1, 2)))))

    def function(self) -> str:
        """A snake-case function: ``merge_invoice``."""
        return self._fresh(lambda: f"{self._rng.choice(_VERBS)}_{self._rng.choice(_NOUNS)}")

    def method(self) -> str:
        """A camel-case function: ``mergeInvoice``."""
        return self._fresh(lambda: self._rng.choice(_VERBS) + self._rng.choice(_NOUNS).capitalize())

    def type(self) -> str:
        """A class: ``InvoiceParser``."""
        return self._fresh(lambda: "".join(word.capitalize() for word in self._rng.sample(_NOUNS, 2)))

    def variable(self) -> str:
        """A variable: ``lazy_total``."""
        return self._fresh(lambda: f"{self._rng.choice(_ADJECTIVES)}_{self._rng.choice(_NOUNS)}")

    def constant(self) -> str:
        """An environment variable or constant: ``BILLING_TOKEN``."""
        return self._fresh(lambda: "_".join(self._rng.sample(_NOUNS, 2)).upper())

    def package(self) -> str:
        """A distribution name: ``swift-ledger-kit``."""
        return self._fresh(
            lambda: "-".join([self._rng.choice(_ADJECTIVES), self._rng.choice(_NOUNS), self._rng.choice(_SUFFIXES)])
        )

    def project(self) -> str:
        """A repository name: ``quiet-harvest``."""
        return self._fresh(lambda: f"{self._rng.choice(_ADJECTIVES)}-{self._rng.choice(_NOUNS)}")

    def host(self) -> str:
        """A host name under a top-level domain that never resolves (RFC 2606)."""
        return self._fresh(lambda: f"{self._rng.choice(_NOUNS)}.{self._rng.choice(_NOUNS)}.invalid")

    def version(self) -> str:
        """A release number: ``4.11.2``."""
        return f"{self._rng.randint(0, 9)}.{self._rng.randint(0, 30)}.{self._rng.randint(0, 20)}"

    def pick(self, choices: Sequence[str]) -> str:
        """One of ``choices``."""
        return self._rng.choice(choices)

    def _fresh(self, draw: Callable[[], str]) -> str:
        for _ in range(1000):
            name = draw()
            if name not in self._used:
                self._used.add(name)
                return name
        raise RuntimeError("a recipe asked for more names than there are")
