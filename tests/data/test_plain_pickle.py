import os
import pickle
import subprocess
import tracemalloc
from collections import OrderedDict
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatbench.data.plain_pickle import UnplainPickleError, load_plain

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(value=PLAIN, protocol=st.integers(0, 5))
@settings(max_examples=150, deadline=None)
def test_reads_what_pickle_wrote(value: object, protocol: int) -> None:
    assert load_plain(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", ["<i8", ">i4", "u1", "<f4", "?", "<f8"])
def test_reads_numpy_arrays(protocol: int, dtype: str) -> None:
    value = {"easy": np.arange(6).reshape(2, 3).astype(dtype), "empty": np.empty(0, dtype), "bbx": [np.float64(2.5)]}
    value["fortran"] = np.asfortranarray(value["easy"])
    content = pickle.dumps(value, protocol)
    found, expected = load_plain(content), pickle.loads(content)
    for name in value.keys() - {"bbx"}:
        np.testing.assert_array_equal(found[name], value[name])
        assert found[name].dtype == expected[name].dtype
        assert found[name].flags.writeable
    assert found["bbx"] == [2.5]


def test_reads_arrays_that_python_2_wrote() -> None:
    """Protocol 2 of Python 2: strings for bytes, and numpy's old module name."""
    content = (
        b"\x80\x02}q\x00U\x04easyq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85q\x04U\x01b"
        b"q\x05\x87q\x06Rq\x07(K\x01K\x02\x85q\x08cnumpy\ndtype\nq\tU\x02i8q\nK\x00K\x01\x87q\x0bRq\x0c(K\x03U\x01<q\rNNNJ"
        b"\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x0eb\x89U\x10\x07\x00\x00\x00\x00\x00\x00\x00\x80\x01\x00\x00\x00\x00\x00"
        b"\x00q\x0ftq\x10bs."
    )
    found = load_plain(content)
    assert found["easy"].tolist() == [7, 384]


class Evil:
    def __init__(self, call, *arguments) -> None:
        self.call = call
        self.arguments = arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "evil",
    [
        Evil(os.system, "touch executed"),
        Evil(subprocess.check_output, ["touch", "executed"]),
        Evil(eval, "open('executed', 'w')"),
        Evil(np.load, "executed"),
        OrderedDict(a=1),
        np.array([Evil(os.system, "touch executed")], dtype=object),
        os.system,
        Evil,
    ],
)
def test_nothing_is_executed_or_even_imported(evil: object, protocol: int, tmp_path, monkeypatch) -> None:
    content = pickle.dumps({"imlist": ["a"], "gnd": [evil]}, protocol)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnplainPickleError):
        load_plain(content)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04",
        b"no pickle",
        pickle.dumps([1, 2, 3])[:-3],
        b"\x80\x04a.",
        b"\x80\x04h\x07.",
        b"c__builtin__\neval\n.",
        b"(i__builtin__\neval\n.",
        b"\x80\x04cnumpy\ndtype\n(X\x01\x00\x00\x00OtR.",
        b"\x80\x04]Kt\x05b.",
        b"\x80\x04cnumpy\ndtype\n}b.",
        b"\x80\x04cnumpy\ndtype\nN}X\x01\x00\x00\x00aK\x01s\x86b.",
    ],
)
def test_damaged_pickles_are_refused(content: bytes) -> None:
    with pytest.raises(UnplainPickleError):
        load_plain(content)


@given(content=st.binary(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_bytes_end_in_data_or_in_the_one_error(content: bytes) -> None:
    with suppress(UnplainPickleError):
        load_plain(b"\x80\x04" + content)


def test_shared_lists_are_made_once() -> None:
    """Twenty lists of twice the one before: 2²⁰ entries for whoever copies each mention."""
    value: list = []
    for _ in range(20):
        value = [value, value]
    found = load_plain(pickle.dumps(value))
    assert found[0] is found[1]


def test_shared_parts_do_not_unfold_without_bound() -> None:
    """Whoever hashes or compares tuples looks at every mention."""
    value: tuple = ()
    for _ in range(29):
        value = (value, value)
    content = pickle.dumps(value)
    assert len(content) < 200
    with pytest.raises(UnplainPickleError, match="its shared parts unfold to more than"):
        load_plain(content)
    circle: list = []
    circle.append(circle)
    with pytest.raises(UnplainPickleError, match="its shared parts unfold to more than"):
        load_plain(pickle.dumps(circle))
    for _ in range(10):
        value = (value,)
    with pytest.raises(UnplainPickleError, match="more than 30 levels deep"):
        load_plain(pickle.dumps(value))


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04Nr\xff\xff\xff\x7f.",  # a place in memory far beyond the last
        b"\x80\x05\x96" + (2**40).to_bytes(8, "little") + b".",
        b"\x80\x04\x8e" + (2**40).to_bytes(8, "little") + b".",
        b"\x80\x04\x95" + (2**40).to_bytes(8, "little") + b".",
        b"\x80\x04(" + b"cnumpy\ndtype\n(X\x02\x00\x00\x00i8tR" + b"J\xff\xff\xff\x7fl.",
        b"\x80\x04})" + 10**6 * b"\x85" + b"Ns.",  # a key of a million tuples in each other
    ],
)
def test_no_file_gets_the_memory_or_the_depth_that_it_asks_for(content: bytes) -> None:
    tracemalloc.start()
    with suppress(UnplainPickleError):
        load_plain(content)
    assert tracemalloc.get_traced_memory()[1] < 2**27
    tracemalloc.stop()
