"""What does the card network itself say of a refusal? Visa's categories, Mastercard's advice codes; pure, and knows no gateway.

Where published lists contradict each other the stricter reading stands: a try too few costs one sale, a try too many a fee.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from payments.states import FailureClass

VISA = "visa"
MASTERCARD = "mastercard"
BAR = timedelta(days=30)
"""How long a card is left alone after an answer that bars it."""

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_BRANDS = {"mc": MASTERCARD, "master": MASTERCARD, "maestro": MASTERCARD, "visaelectron": VISA, "electron": VISA}


@dataclass(frozen=True, slots=True)
class NetworkAdvice:
    """What may still be done with this card. `source` names the rule; empty: the network says nothing.

    `never`: this payment must not be tried with it again. `bars`: no payment at all within BAR, whoever asks for it.
    `revokes`: the payer has withdrawn consent: nothing may be charged without them; they may still pay by themselves.
    `failure_class`: what the answer counts as, see `applied`. `retry_after`: not before, from the refusal on.
    """

    never: bool = False
    retry_after: timedelta | None = None
    failure_class: FailureClass | None = None
    revokes: bool = False
    bars: bool = False
    words: str = ""
    source: str = ""


SILENT = NetworkAdvice()
_NEVER = NetworkAdvice(never=True, failure_class=FailureClass.HARD_DECLINE)
_LATER = NetworkAdvice(failure_class=FailureClass.SOFT_DECLINE)
_CARD_DATA = NetworkAdvice(failure_class=FailureClass.INVALID_CARD_DATA)
_NEW_CARD = NetworkAdvice(failure_class=FailureClass.EXPIRED_CARD)
_CONFIRM = NetworkAdvice(failure_class=FailureClass.AUTHENTICATION_REQUIRED)

# --- Visa -------------------------------------------------------------------------------------------------------------

VISA_REVOKED = frozenset({"R0", "R1", "R3"})
VISA_CATEGORIES: dict[int, frozenset[str]] = {
    1: frozenset({"04", "07", "12", "14", "15", "41", "43", "46", "57"}) | VISA_REVOKED,
    2: frozenset({"03", "19", "51", "59", "61", "62", "65", "75", "78", "86", "91", "93", "96", "N3", "N4"}),
    3: frozenset({"54", "55", "70", "82", "1A", "6P", "N7"}),
    4: frozenset({"05", "01", "02"}),  # and every code in none of the four
}
# 93 (against the law): most lists put it into category 2, one into category 1. It is never tried again, as by the stricter.
_VISA_IN_DOUBT = frozenset({"93"})
_VISA_DATA = {"54": _NEW_CARD, "70": _CONFIRM, "1A": _CONFIRM}
_VISA_WORDS = {
    1: "the issuer will never approve it",
    2: "the issuer can not approve it now",
    3: "card data must be corrected first",
    4: "refused for no stated reason",
}


def visa_category(code: str) -> int:
    """Which of Visa's four categories does a response code fall into? Whatever is listed nowhere: the fourth."""
    return next((category for category, codes in VISA_CATEGORIES.items() if code in codes), 4)


def _visa(code: str, told: str) -> NetworkAdvice:
    """By response code and by the category that the gateway passed on; the stricter of the two, if they differ."""
    named = int(told) if told.isdigit() and int(told) in VISA_CATEGORIES else 0
    if not code and not named:
        return SILENT
    category = visa_category(code) if code else named
    found = _in_category(category, code)
    return stricter(found, _in_category(named, "")) if named not in (0, category) else found


def _in_category(category: int, code: str) -> NetworkAdvice:
    words, source = _VISA_WORDS[category], f"Visa category {category}"
    if code in VISA_REVOKED:
        words = "the payer has stopped charges without them"
        return replace(_NEVER, revokes=True, words=words, source=f"Visa {code}")
    if category == 1:
        return replace(_NEVER, bars=True, words=words, source=source)
    if code in _VISA_IN_DOUBT:
        return replace(_NEVER, words="it can not be completed, by law", source=f"Visa {code}")
    if category == 3:
        return replace(_VISA_DATA.get(code, _CARD_DATA), words=words, source=source)
    return NetworkAdvice(words=words, source=source)


# --- Mastercard -------------------------------------------------------------------------------------------------------


def _after(wait: timedelta, words: str) -> NetworkAdvice:
    return replace(_LATER, retry_after=wait, words=f"not before {words}")


MASTERCARD_ADVICE: dict[str, NetworkAdvice] = {
    "01": replace(_NEW_CARD, words="newer card data exists: update, then try again"),
    "02": replace(_LATER, words="try again later"),
    "03": replace(_NEVER, bars=True, words="do not try again"),
    "04": replace(_CARD_DATA, words="token requirements are not met"),
    # 21 ends the agreement; whatever comes within the month is charged a fee, so the payer's own tries wait too.
    "21": replace(_NEVER, bars=True, revokes=True, words="the payer has cancelled these payments"),
    "22": replace(
        NetworkAdvice(failure_class=FailureClass.CONFIGURATION_ERROR), words="merchant not eligible for this product"
    ),
    "24": _after(_HOUR, "1 hour"),
    "25": _after(_DAY, "24 hours"),
    "26": _after(2 * _DAY, "2 days"),
    "27": _after(4 * _DAY, "4 days"),
    "28": _after(6 * _DAY, "6 days"),
    "29": _after(8 * _DAY, "8 days"),
    "30": _after(10 * _DAY, "10 days"),
    "40": replace(_NEVER, words="a prepaid card that can not be reloaded"),
    "41": replace(_NEVER, words="a virtual number that works once"),
    "42": replace(_NEVER, words="sanctions score exceeded"),
    "43": NetworkAdvice(words="a virtual number that works several times"),  # informational, seen on approvals too
}
_MASTERCARD_HARD = frozenset({"04", "07", "14", "15", "41", "43", "57", "62"})
_MASTERCARD_UPDATE = frozenset({"54"})


def _mastercard(code: str, told: str) -> NetworkAdvice:
    """The advice code outranks the response code, which speaks only where there is none (or one that merely informs)."""
    known = MASTERCARD_ADVICE.get(told.zfill(2)) if told else None
    if known is not None and known.failure_class is not None:
        return replace(known, source=f"Mastercard advice {told.zfill(2)}")
    if code in _MASTERCARD_HARD:
        return replace(_NEVER, words="the issuer refuses for good", source=f"Mastercard response {code}")
    if code in _MASTERCARD_UPDATE:
        return replace(_NEW_CARD, words="the card has expired", source=f"Mastercard response {code}")
    if known is not None:
        return replace(known, source=f"Mastercard advice {told.zfill(2)}")
    return NetworkAdvice(words="refused for now", source=f"Mastercard response {code}") if code else SILENT


# --- both, and what a gateway adds ------------------------------------------------------------------------------------

GATEWAY_ADVICE: dict[str, NetworkAdvice] = {
    "do_not_try_again": replace(_NEVER, words="do not try again"),
    "try_again_later": replace(_LATER, words="try again later"),
    "confirm_card_data": replace(_CARD_DATA, words="card data must be confirmed first"),
}


def network_of(brand: str) -> str:
    """visa, mastercard, or the brand as it was told, in small letters; empty if it is not known."""
    plain = "".join(letter for letter in brand.lower() if letter.isalnum())
    return _BRANDS.get(plain, plain)


def advise(brand: str, network_code: str, network_advice: str, gateway_advice: str) -> NetworkAdvice:
    """What network and gateway say together; the stricter where they differ.

    `network_code`: the response code of two characters. `network_advice`: Mastercard's advice code or Visa's category.
    Of a card whose brand nobody told, both networks' readings count: the same digits mean different things to them.
    """
    code, told, network = network_code.strip().upper(), network_advice.strip(), network_of(brand)
    by_network = SILENT
    if network in (VISA, ""):
        by_network = stricter(by_network, _visa(code, told))
    if network in (MASTERCARD, ""):
        by_network = stricter(by_network, _mastercard(code, told))
    if network == "" and by_network.failure_class == FailureClass.SOFT_DECLINE:
        by_network = replace(by_network, failure_class=None)  # nobody may lift a decline by a guess at the brand
    by_gateway = GATEWAY_ADVICE.get(gateway_advice.strip().lower(), SILENT)
    if by_gateway is not SILENT:
        by_gateway = replace(by_gateway, source=f"gateway's advice {gateway_advice.strip().lower()}")
    return stricter(by_network, by_gateway)


def stricter(one: NetworkAdvice, other: NetworkAdvice) -> NetworkAdvice:
    """The advice that allows less, with everything that either forbids."""
    first, second = sorted((one, other), key=_severity, reverse=True)
    waits = [wait for wait in (one.retry_after, other.retry_after) if wait is not None]
    return replace(
        first,
        retry_after=max(waits, default=None),
        revokes=one.revokes or other.revokes,
        bars=one.bars or other.bars,
        words=first.words or second.words,
        source=first.source or second.source,
    )


def _severity(advice: NetworkAdvice) -> int:
    if advice.never:
        return 4
    if advice.failure_class not in (None, FailureClass.SOFT_DECLINE):
        return 3  # something must change before the next try
    if advice.failure_class == FailureClass.SOFT_DECLINE:
        return 2
    return 1 if advice.source else 0


# Their next step asks the payer for something else already, or nothing of the card's was refused at all.
_SAYS_MORE = frozenset(
    {
        FailureClass.FRAUD,
        FailureClass.EXPIRED_CARD,
        FailureClass.INVALID_CARD_DATA,
        FailureClass.AUTHENTICATION_REQUIRED,
        FailureClass.INVALID_REQUEST,
    }
)
# They try nothing with this card again, and tell the payer more than a plain refusal does.
_FINAL = frozenset({FailureClass.FRAUD, FailureClass.EXPIRED_CARD, FailureClass.INVALID_CARD_DATA})
_LIFTED = frozenset({FailureClass.HARD_DECLINE, FailureClass.UNKNOWN})


def applied(failure_class: FailureClass, advice: NetworkAdvice) -> FailureClass:
    """The class of a refusal once the network has been heard. `never` is a hard decline; fraud stays fraud, bad data bad data.

    "Try again later" lifts a hard decline or one of an unknown reason, and says nothing against a class that is plainer.
    """
    if advice.never:
        return failure_class if failure_class in _FINAL else FailureClass.HARD_DECLINE
    if advice.failure_class is None or failure_class in _SAYS_MORE:
        return failure_class
    if advice.failure_class == FailureClass.SOFT_DECLINE:
        return advice.failure_class if failure_class in _LIFTED else failure_class
    return advice.failure_class
