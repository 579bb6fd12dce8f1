"""The page that sums up a run: products, pictures, checks, times."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment

from s2dask.graph.tasks import Outcome
from s2dask.qc.checks import CheckResult

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1180px;padding:0 1rem;color:#1d2733}
h1{font-size:1.5rem;margin-bottom:.2rem} h2{font-size:1.1rem;margin-top:2rem;border-bottom:1px solid #d5dde5}
table{border-collapse:collapse;margin:.6rem 0} td,th{padding:.2rem .8rem;text-align:left;
border-bottom:1px solid #e7ecf1}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.PASSED{color:#1a7f37;font-weight:600}.FAILED{color:#b3261e;font-weight:600}.ERROR{color:#9a6700;font-weight:600}
.pictures{display:flex;flex-wrap:wrap;gap:1rem}
figure{margin:0;max-width:48%}
img{width:100%;height:460px;object-fit:contain;object-position:left}
figcaption{color:#57606a;font-size:.9rem} code{background:#f2f5f8;padding:0 .25rem;overflow-wrap:anywhere}
</style></head><body>
<h1>{{ title }}</h1><p>{{ subtitle }}</p>
{% if pictures %}<h2>Pictures</h2><div class="pictures">
{% for p in pictures %}<figure><img src="{{ p.path }}" alt="{{ p.caption }}">
<figcaption>{{ p.caption }}</figcaption></figure>{% endfor %}</div>{% endif %}
{% for t in tables %}<h2>{{ t.title }}</h2>{% if t.note %}<p>{{ t.note }}</p>{% endif %}
<table><tr>{% for h in t.header %}<th{% if not loop.first %} class="n"{% endif %}>{{ h }}</th>{% endfor %}</tr>
{% for r in t.rows %}<tr>{% for c in r %}<td{% if not loop.first %} class="n"{% endif %}>{{ c }}</td>{% endfor %}</tr>
{% endfor %}</table>{% endfor %}
{% if checks %}<h2>Quality control</h2><table><tr><th>level</th><th>check</th><th>status</th><th>measured</th></tr>
{% for c in checks %}<tr><td>{{ c.level }}</td><td>{{ c.checklist }} / {{ c.id }}</td>
<td class="{{ c.status }}">{{ c.status }}</td><td>{{ c.message }}</td></tr>{% endfor %}</table>{% endif %}
{% if products %}<h2>Products</h2><ul>{% for p in products %}<li><code>{{ p }}</code></li>{% endfor %}</ul>{% endif %}
</body></html>
"""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the report.

    Attributes
    ----------
    title, note : str
    header : sequence of str
    rows : sequence of sequence of str
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What the page shows.

    Attributes
    ----------
    title, subtitle : str
    tables : sequence of Table
    pictures : mapping of str to str
        Caption by path relative to the page.
    checks : sequence of CheckResult
    products : sequence of str
    """

    title: str
    subtitle: str
    tables: Sequence[Table] = ()
    pictures: Mapping[str, str] = field(default_factory=dict)
    checks: Sequence[CheckResult] = ()
    products: Sequence[str] = ()


def times(outcomes: Sequence[Outcome]) -> Table:
    """Return the table of what each step cost."""
    steps: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        steps.setdefault(outcome.step, []).append(outcome)
    rows = [
        (step, str(len(o)), f"{sum(x.seconds for x in o):.1f}", f"{max(x.seconds for x in o):.1f}",
         f"{max(x.peak_bytes for x in o) / 2**30:.2f}")
        for step, o in steps.items()
    ]
    return Table("Time per step", ("step", "tasks", "core s", "longest s", "worker peak GiB"), rows)


def write_report(path: str, report: Report) -> None:
    """Write the page as one HTML file."""
    pictures = [{"path": p, "caption": c} for p, c in report.pictures.items()]
    page = Environment(autoescape=True).from_string(_PAGE).render(
        title=report.title, subtitle=report.subtitle, pictures=pictures, tables=report.tables,
        checks=report.checks, products=report.products,
    )
    Path(path).write_text(page, "utf-8")
