"""Correction of one Reed-Solomon codeword: syndromes, error locator (Berlekamp-Massey), places and values (Forney)."""

import numpy as np

from s2dask.kernels import kernel


@kernel
def _syndromes(word, rows, first, primitive, exponential, logarithm):  # type: ignore[no-untyped-def]
    """Values at the roots of the remainder, and so of the word times x^parity; divided by that power of the root."""
    words = rows.shape[1]
    parity = 8 * words
    remainder = np.zeros(words, np.uint64)
    for i in range(word.size):
        lead = np.uint8(remainder[0] >> np.uint64(56)) ^ word[i]
        for w in range(words):
            carry = remainder[w + 1] >> np.uint64(56) if w + 1 < words else np.uint64(0)
            remainder[w] = ((remainder[w] << np.uint64(8)) | carry) ^ rows[lead, w]
    out = np.zeros(parity, np.int64)
    for j in range(parity):
        power, total = primitive * (first + j) % 255, np.int64(0)
        for k in range(parity):
            if total:
                total = np.int64(exponential[logarithm[total] + power])
            total ^= np.int64((remainder[k // 8] >> np.uint64(56 - 8 * (k % 8))) & np.uint64(255))
        if total:
            out[j] = exponential[(logarithm[total] + (255 - parity) * power) % 255]
    return out


@kernel
def _locator(syndromes, exponential, logarithm):  # type: ignore[no-untyped-def]
    """Error locator polynomial, low degree first, and its degree (Berlekamp-Massey)."""
    n = syndromes.size
    current, previous, saved = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
    current[0] = previous[0] = 1
    length, shift, scale = 0, 1, 1
    for k in range(n):
        discrepancy = syndromes[k]
        for i in range(1, length + 1):
            if current[i] and syndromes[k - i]:
                discrepancy ^= np.int64(exponential[logarithm[current[i]] + logarithm[syndromes[k - i]]])
        if discrepancy == 0:
            shift += 1
            continue
        saved[:] = current
        factor = (logarithm[discrepancy] - logarithm[scale]) % 255
        for i in range(n + 1 - shift):
            if previous[i]:
                current[i + shift] ^= np.int64(exponential[logarithm[previous[i]] + factor])
        if 2 * length <= k:
            length = k + 1 - length
            previous[:] = saved
            scale, shift = discrepancy, 1
        else:
            shift += 1
    return current, length


@kernel
def _places(locator, degree, n, primitive, exponential, logarithm, places):  # type: ignore[no-untyped-def]
    """Find the symbols at whose places the locator vanishes (Chien); return how many."""
    terms, steps = np.zeros(degree, np.int64), np.zeros(degree, np.int64)
    used = 0
    for i in range(1, degree + 1):
        if locator[i]:
            steps[used] = primitive * i % 255
            # the inverse of alpha^(primitive (n - 1)), which stands for the first symbol
            terms[used] = (logarithm[locator[i]] + (255 - primitive * (n - 1) % 255) * i) % 255
            used += 1
    found = 0
    for position in range(n):
        total = np.int64(1)
        for i in range(used):
            total ^= np.int64(exponential[terms[i]])
            terms[i] += steps[i]
            if terms[i] >= 255:
                terms[i] -= 255
        if total == 0:
            places[found] = position
            found += 1
            if found == degree:
                break
    return found


@kernel
def _value(syndromes, locator, degree, log_x, first, exponential, logarithm):  # type: ignore[no-untyped-def]
    """Error at the place whose locator is alpha^log_x; 0 when the equations contradict each other (Forney)."""
    inverse = (255 - log_x) % 255
    slope, top = np.int64(0), np.int64(0)
    for i in range(1, degree + 1, 2):
        if locator[i]:
            slope ^= np.int64(exponential[(logarithm[locator[i]] + (i - 1) * inverse) % 255])
    for i in range(degree):
        term = np.int64(0)
        for j in range(i + 1):
            if locator[j] and syndromes[i - j]:
                term ^= np.int64(exponential[logarithm[locator[j]] + logarithm[syndromes[i - j]]])
        if term:
            top ^= np.int64(exponential[(logarithm[term] + i * inverse) % 255])
    if slope == 0 or top == 0:
        return np.int64(0)
    return np.int64(exponential[(logarithm[top] - logarithm[slope] + (1 - first) * log_x) % 255])


@kernel
def correct_word(word, rows, first, primitive, exponential, logarithm):  # type: ignore[no-untyped-def]
    """Correct a codeword (symbol) uint8 in place; return the symbols changed, -1 when there are too many errors.

    `rows` (256, parity / 8) uint64 is what x^parity times each symbol leaves; a word that is given up stays as it is.
    """
    syndromes = _syndromes(word, rows, first, primitive, exponential, logarithm)
    if not syndromes.any():
        return 0
    n, limit = word.size, syndromes.size // 2
    locator, degree = _locator(syndromes, exponential, logarithm)
    if degree > limit:
        return -1
    places, values = np.zeros(limit, np.int64), np.zeros(limit, np.int64)
    if _places(locator, degree, n, primitive, exponential, logarithm, places) != degree:
        return -1
    for k in range(degree):
        log_x = primitive * (n - 1 - places[k]) % 255
        values[k] = _value(syndromes, locator, degree, log_x, first, exponential, logarithm)
        if values[k] == 0:
            return -1
    for k in range(degree):
        word[places[k]] ^= np.uint8(values[k])
    return degree
