"""Finds the items that make a call fail, by halving."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Succeeded(Generic[Item, Value]):
    """A call that returned `value` for `items`."""

    items: Sequence[Item]
    value: Value


@dataclass(frozen=True, slots=True)
class Failed(Generic[Item]):
    """An item on which the call raised `error` even with no other item."""

    item: Item
    error: Exception


def bisect_failures(
    call: Callable[[Sequence[Item]], Value], items: Sequence[Item]
) -> Iterator[Succeeded[Item, Value] | Failed[Item]]:
    """Calls with all items; if that raises an error, with each half, down to single items. Yields in their order.

    So each error belongs to its item: k failing items among n cost at most 2 k log2(n) + 1 calls. Calls are made as the
    outcomes are asked for, so the caller can stop after too many failures.
    """
    pending = [items] if items else []
    while pending:
        called = pending.pop()
        try:
            value = call(called)
        except Exception as error:  # an estimator raises what it likes
            if len(called) == 1:
                yield Failed(called[0], error)
            else:
                middle = len(called) // 2
                pending += [called[middle:], called[:middle]]
        else:
            yield Succeeded(called, value)
