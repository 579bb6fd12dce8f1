"""A small instrument for the radiometric tests: coefficients, GIPP files and the forward model in plain NumPy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument import BANDS, band, unit

VALIDITY = "V20150622T000000_21000101T000000"
CREATION = "20200801T000000"
CROSSTALK = {
    ("B10", "B11"): -3.98e-3,
    ("B10", "B12"): -1.78e-3,
    ("B11", "B10"): -2.82e-5,
    ("B11", "B12"): -2.0e-3,
    ("B12", "B10"): -7.94e-4,
    ("B12", "B11"): -1.78e-4,
}
"""Electronic crosstalk of S2A: (victim, source)."""


@dataclass(frozen=True)
class Pixels:
    """Coefficients of one band of one detector, for every raw column."""

    name: str
    dark: NDArray[np.float64]
    response: NDArray[np.float64]
    defective: tuple[int, ...]

    @property
    def cubic(self) -> bool:
        return band(self.name).focal_plane == "VNIR"


def pixels(name: str, seed: int = 0, defective: tuple[int, ...] = ()) -> Pixels:
    """Return plausible coefficients of a band: dark about 450 LSB, response within some percent of 1."""
    b = band(name)
    random = np.random.default_rng([seed, b.index])
    n = b.raw_columns
    dark = 450 + random.normal(0, 3, n) + random.normal(0, 0.5, (b.chronogram_lines, n))
    if b.focal_plane == "VNIR":
        response = np.array(
            [random.normal(1e-10, 2e-10, n), random.normal(2e-7, 1e-6, n), 1 + random.normal(0, 0.01, n)]
        )
    else:
        low = 1 + random.normal(0, 0.01, n)
        response = np.array([low, low * (1 + random.normal(0, 0.005, n)), 600 + random.normal(0, 20, n)])
    return Pixels(name, dark, response, defective)


def unequalised(z: NDArray[np.float64], p: Pixels, columns: slice) -> NDArray[np.float64]:
    """Return the count whose equalised value is `z`: the inverse of the relative response, by Newton or by branches."""
    a, b, c = p.response[:, columns]
    if not p.cubic:
        return np.where(z <= a * c, z / a, c + (z - a * c) / b)
    y = z / c
    for _ in range(8):
        y = y - (a * y**3 + b * y**2 + c * y - z) / (3 * a * y**2 + 2 * b * y + c)
    return y


def leak(victim: str, source: str, y: NDArray[np.float64], lines: int) -> NDArray[np.float64]:
    """Return the lines of a source band as the read-out of the victim meets them."""
    to, of = band(victim).line_factor, band(source).line_factor
    if to > of:
        return y.reshape(-1, to // of, y.shape[1]).mean(axis=1)[:lines]
    return np.repeat(y, of // to, axis=0)[:lines]


def met(victim: str, source: str, y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a source band as the lines and columns of a victim of any resolution meet it, at the same time."""
    lines = leak(victim, source, y, y.shape[0] * band(source).line_factor // band(victim).line_factor)
    to, of = band(victim).useful_columns, band(source).useful_columns
    if to > of:
        return np.repeat(lines, to // of, axis=1)
    return lines.reshape(lines.shape[0], to, of // to).mean(axis=2)


def staggered(
    ground: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    line: NDArray[np.float64],
    shift: NDArray[np.int64],
    name: str,
) -> NDArray[np.float64]:
    """Return what a SWIR array reads of a ground given along track: each column some lines, or thirds, further on."""
    return ground(line + shift / (3 if name == "B10" else 1))


def disturbed(y: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Return the counts of the SWIR bands with what leaks into each from the others that are there."""
    out = dict(y)
    for (victim, source), coefficient in CROSSTALK.items():
        if victim in y and source in y:
            out[victim] = out[victim] + coefficient * leak(victim, source, y[source], y[victim].shape[0])
    return out


def raw_counts(
    y: NDArray[np.float64], p: Pixels, offset: NDArray[np.float64] | float = 0.0, first_line: int = 0
) -> NDArray[np.uint16]:
    """Return what the converter sends: dark signal and line offset added, blind pixels at the sides, rounded."""
    b = band(p.name)
    full = np.zeros((y.shape[0], b.raw_columns))
    full[:, b.blind : b.raw_columns - b.blind] = y
    phase = (first_line + np.arange(y.shape[0])) % b.chronogram_lines
    full += p.dark[phase] + np.broadcast_to(offset, (y.shape[0],))[:, np.newaxis]
    return np.clip(np.rint(full), 0, 4095).astype(np.uint16)


def useful(name: str) -> slice:
    """Return the raw columns that see light."""
    b = band(name)
    return slice(b.blind, b.raw_columns - b.blind)


def scene(name: str, lines: int, seed: int = 0, low: float = 100, high: float = 2500) -> NDArray[np.float64]:
    """Return a smooth equalised scene of the useful columns [LSB]."""
    random = np.random.default_rng([seed, band(name).index, 7])
    n = band(name).useful_columns
    x, line = np.arange(n) / n, np.arange(lines)[:, np.newaxis] / max(lines, 1)
    wave = 0.5 + 0.25 * np.sin(6 * x + random.uniform(0, 6)) + 0.25 * np.cos(4 * line + random.uniform(0, 6))
    return low + (high - low) * wave


# The GIPP files of that instrument.


def _document(root: str, data: str, satellite: str = "S2A") -> str:
    head = f"<HEADER><SATELLITE>{satellite}</SATELLITE><SCHEME_VERSION>String</SCHEME_VERSION></HEADER>"
    specific = "<SPECIFIC_HEADER><VERSION_NUMBER>0001</VERSION_NUMBER></SPECIFIC_HEADER>"
    return f'<?xml version="1.0" encoding="utf-8"?><!-- test --><{root}>{head}{specific}<DATA>{data}</DATA></{root}>'


def _numbers(values: NDArray[np.float64]) -> str:
    return " ".join(f"{v:.12g}" for v in values)


def r2eqog(p: Pixels, detectors: tuple[int, ...] = (6,), satellite: str = "S2A") -> str:
    """Return GIP_R2EQOG of a band."""
    b = band(p.name)
    model = "CUBIC" if p.cubic else "BI-LINEAR"
    names = ("A", "B", "C") if p.cubic else ("A1", "A2", "Zs")
    body = "".join(f"<COEFF_{n}>{_numbers(v)}</COEFF_{n}>" for n, v in zip(names, p.response, strict=True))
    lines = "".join(f"<LINE{k + 1}>{_numbers(v)}</LINE{k + 1}>" for k, v in enumerate(p.dark))
    body += f"<COEFF_D><A_{b.resolution}M_BAND>{lines}</A_{b.resolution}M_BAND></COEFF_D>"
    tables = "".join(
        f'<COEFFICIENTS detector_id="{d:02d}"><NB_OF_PIXELS>{b.raw_columns}</NB_OF_PIXELS>'
        f"<GROUND_EQUALIZATION><{model}>{body}</{model}></GROUND_EQUALIZATION></COEFFICIENTS>"
        for d in detectors
    )
    tdi = "APPLIED" if b.tdi else "NO_TDI"
    data = f'<BAND_ID>{b.index}</BAND_ID><COEFFICIENTS_LIST tdi_config="{tdi}">{tables}</COEFFICIENTS_LIST>'
    return _document("GS2_RADIOS2_EQUALIZATION_ONGROUND", data, satellite)


def r2abca(satellite: str = "S2A") -> str:
    """Return GIP_R2ABCA with the gains of the unit table."""
    data = "".join(
        f'<BAND band_id="{BANDS[name].index}"><PHYSICAL_GAINS>{v.gain}</PHYSICAL_GAINS>'
        f'<SOLAR_IRRADIANCE unit="W/m²/µm">{v.solar_irradiance}</SOLAR_IRRADIANCE></BAND>'
        for name, v in unit(satellite).bands.items()
    )
    return _document("GS2_ABSOLUTE_CALIBRATION", data, satellite)


def r2crco(satellite: str = "S2A") -> str:
    """Return GIP_R2CRCO with the electronic crosstalk of S2A."""
    rows = ""
    for k, victim in enumerate(BANDS):
        electrical = np.array([CROSSTALK.get((victim, source), 0.0) for source in BANDS])
        rows += (
            f'<CROSSTALK_COEFF band_id_k="{k}"><OPTICAL>{_numbers(np.zeros(13))}</OPTICAL>'
            f"<ELECTRICAL>{_numbers(electrical)}</ELECTRICAL></CROSSTALK_COEFF>"
        )
    data = f"<CROSSTALK_COEFF_LIST>{rows}</CROSSTALK_COEFF_LIST>"
    return _document("GS2_RADIOS2_CROSSTALK_CORRECTION", data, satellite)


def r2depi(columns: Mapping[tuple[str, int], tuple[int, ...]], satellite: str = "S2A") -> str:
    """Return GIP_R2DEPI with the raw columns of (band, detector)."""
    data = ""
    for b in BANDS.values():
        positions = "".join(
            f'<POSITION detector_id="{d:02d}"><COLUMNS>{" ".join(map(str, values))}</COLUMNS></POSITION>'
            for (name, d), values in columns.items()
            if name == b.name
        )
        singularity = f'<SINGULARITY type="SATURATED_RESPONSE">{positions}</SINGULARITY>'
        data += f'<BAND band_id="{b.index}"><SINGULARITY_LIST>{singularity}</SINGULARITY_LIST></BAND>'
    return _document("GS2_RADIOS2_DEFECTIVE_PIXELS", data, satellite)


def blindp(detectors: tuple[int, ...] = (6,), satellite: str = "S2A") -> str:
    """Return GIP_BLINDP."""
    data = ""
    for b in BANDS.values():
        half = len(b.blind_columns) // 2
        inner = range(b.blind_valid, b.blind), range(b.raw_columns - b.blind, b.raw_columns - b.blind_valid)
        sides = "".join(
            f'<SIDE side_id="{side}"><VALID_BLIND_PIXELS>{" ".join(map(str, outer))}</VALID_BLIND_PIXELS>'
            f"<NON_VALID_BLIND_PIXELS>{' '.join(map(str, invalid))}</NON_VALID_BLIND_PIXELS></SIDE>"
            for side, outer, invalid in (
                ("LEFT", b.blind_columns[:half], inner[0]),
                ("RIGHT", b.blind_columns[half:], inner[1]),
            )
        )
        tables = "".join(f'<DETECTOR detector_id="{d:02d}">{sides}</DETECTOR>' for d in detectors)
        data += f'<BAND band_id="{b.index}">{tables}</BAND>'
    return _document("GS2_BLIND_PIXELS", data, satellite)


def gipp_name(kind: str, band_name: str = "B00", satellite: str = "S2A", creation: str = CREATION) -> str:
    """Return the name of a GIPP file."""
    return f"{satellite}_OPER_GIP_{kind}_MPC__{creation}_{VALIDITY}_{band_name}.DBL"


def write_gipps(folder: Path, instrument: Mapping[str, Pixels], satellite: str = "S2A", detector: int = 6) -> Path:
    """Write the radiometric GIPPs of the instrument into a folder and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    defects = {(name, detector): p.defective for name, p in instrument.items()}
    texts = {
        gipp_name("R2ABCA", satellite=satellite): r2abca(satellite),
        gipp_name("R2CRCO", satellite=satellite): r2crco(satellite),
        gipp_name("R2DEPI", satellite=satellite): r2depi(defects, satellite),
        gipp_name("BLINDP", satellite=satellite): blindp((detector,), satellite),
    }
    for name, p in instrument.items():
        texts[gipp_name("R2EQOG", name, satellite)] = r2eqog(p, (detector,), satellite)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder
