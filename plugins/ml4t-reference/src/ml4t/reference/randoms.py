"""Random numbers without a state: a draw is a function of the seed of the run and of what it is for.

The generator is Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3"
(SC 2011), section 3.3 and the constants of its table of multipliers and Weyl keys. A block of four words is
ten rounds of

    c0' = high(M1 x c2) xor c1 xor k0      c1' = low(M1 x c2)
    c2' = high(M0 x c0) xor c3 xor k1      c3' = low(M0 x c0)

over the counter `c`; between rounds the key `k` grows by (W0, W1), modulo 2**32.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["draw", "fraction_of", "philox", "uniforms"]

WORD = 2**32
ROUNDS = 10
M0, M1 = 0xD2511F53, 0xCD9E8D57
W0, W1 = 0x9E3779B9, 0xBB67AE85
BITS = 53  #: of a fraction

Block = tuple[int, int, int, int]


def philox(counter: Block, key: tuple[int, int]) -> Block:
    """Return the block of a counter and a key, all of them words of 32 bits."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        high0, low0 = divmod(M0 * c0, WORD)
        high1, low1 = divmod(M1 * c2, WORD)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + W0) % WORD, (k1 + W1) % WORD
    return c0, c1, c2, c3


def fraction_of(seed: int, order: int, model: int, attempt: int) -> int:
    """Return the `k` of a draw, of 2**53: the top bits of the first two words of its block.

    Parameters
    ----------
    seed : int
        Of the run, below 2**64.
    order : int
        Which order of the run, counted from 0.
    model : int
        What the draw is for.
    attempt : int
        Which of the draws of that kind about that order, counted from 0.
    """
    return _fractions(seed, (order, 2 * model, attempt))[0]


def uniforms(seed: int, order: int, model: int, attempt: int) -> tuple[float, float, float, float]:
    """Return the four draws in [0, 1) of an occasion; the parameters are those of `fraction_of`."""
    pairs = [_fractions(seed, (order, 2 * model + block, attempt)) for block in (0, 1)]
    first, second, third, fourth = (k / (1 << BITS) for pair in pairs for k in pair)
    return first, second, third, fourth


def _fractions(seed: int, occasion: tuple[int, int, int]) -> tuple[int, int]:
    """Return the two numbers below 2**53 of a block."""
    order, stream, attempt = occasion
    words = philox((order % WORD, order // WORD, stream, attempt), (seed % WORD, seed // WORD))
    first, second = ((words[at] * WORD + words[at + 1]) >> (64 - BITS) for at in (0, 2))
    return first, second


def draw(quantiles: Sequence[int], k: int) -> int:
    """Return the value that lies `k` of 2**53 on the way through quantiles; between two, on a line, down."""
    place, rest = divmod(k * (len(quantiles) - 1), 1 << BITS)
    low, high = quantiles[place], quantiles[place + 1]
    return low + ((high - low) * rest >> BITS)
