"""What the rental form calls: a price list and a booking number. A real desk would ask its own systems here."""

import zlib

from nemoguardrails.actions import action

PRICES = {"city": 15, "cargo": 30, "electric": 35}


@action(name="RentalPriceAction")
async def rental_price(kind: str, count: str) -> int:
    """The price of a day for `count` bikes."""
    return PRICES[kind] * int(count)


@action(name="BookRentalAction")
async def book_rental(kind: str, day: str, count: str) -> str:
    """A number for the booking, the same for the same wishes."""
    return f"HB-{zlib.crc32(f'{kind} {day} {count}'.encode()) % 10_000:04}"
