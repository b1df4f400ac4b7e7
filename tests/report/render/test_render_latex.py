import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatbench.report.render.table import Column, Group, Row, Table, TableCell, Unit
from compatbench.report.render.to_latex import escape, to_latex

COLUMNS = (Column("name", "a_b", "", Unit.TEXT), Column("x", "Γ", "", Unit.SHARE, interval=True))


def table(*rows: Row) -> Table:
    return Table("t", "T & co", "100% sure", COLUMNS, (Group("G_1", rows),), {"†": "5 < 6"})


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from('\\{}&%$#_~^<>|"*`[]ab 1'), max_size=30))
def test_no_active_character_survives(text):
    """What is left after the commands that escape() may write holds no character that LaTeX acts on."""
    commands = r"\\text[a-z]+\{\}|\\[{}&%$#_]|\\\(\*\\\)"
    assert not re.search(r"[\\{}&%$#_~^<>|\"*`]", re.sub(commands, "", escape(text)))


@pytest.mark.parametrize(("plain", "latex"), [("−1.0", r"\(-\)1.0"), ("–", "--"), ("✗ oom", r"\(\times\) oom")])
def test_signs_of_the_tables_have_commands(plain, latex):
    assert escape(plain) == latex


def test_a_table_is_a_complete_float():
    text = to_latex(
        table(Row({"name": TableCell("[x]"), "x": TableCell(0.5, 0.25, 1.0, bold=True, marks=("†", "n.s."))}))
    )
    assert text.splitlines() == [
        r"\begin{table*}",
        r"\centering",
        r"\caption{T \& co. 100\% sure}",
        r"\label{tab:t}",
        r"\resizebox{\textwidth}{!}{%",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"a\_b & \(\Gamma\) \\",
        r"\midrule",
        r"\multicolumn{2}{l}{\textit{G\_1}} \\",
        r"{[x]} & \textbf{0.50} {\scriptsize [0.25, 1.00]} \textsuperscript{\(\dagger\), n.s.} \\",
        r"\bottomrule",
        r"\end{tabular}}",
        r"\par\footnotesize \(\dagger\) 5 \textless{} 6",
        r"\end{table*}",
    ]
