import pytest

from compatbench.discovery.contract import check
from compatbench.discovery.plugins import discover
from compatbench.discovery.scaffold import new_method
from compatbench.errors import RequestError


def test_a_new_method_keeps_the_contract_and_is_found(tmp_path):
    path = new_method("my_method_2", tmp_path / "mine")
    assert path == tmp_path / "mine" / "my_method_2.py"
    report = check(path)
    assert report.passed, str(report)
    plugin = discover([tmp_path / "mine"]).get("my_method_2")
    assert (plugin.path, plugin.cls.__name__) == (path, "MyMethod2")


def test_never_overwrites(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("work of weeks")
    with pytest.raises(RequestError, match=r"mine\.py exists"):
        new_method("mine", tmp_path)
    assert path.read_text() == "work of weeks"


@pytest.mark.parametrize("name", ["my-method", "2fast", "MyMethod", "", "../up", "_hidden"])
def test_refuses_names_that_no_method_can_have(tmp_path, name):
    with pytest.raises(RequestError, match="no valid name"):
        new_method(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_refuses_a_taken_name(tmp_path):
    with pytest.raises(RequestError, match=r"'bct' is taken by .*bct\.py"):
        new_method("bct", tmp_path)


def test_refuses_a_name_taken_in_the_folder_itself(tmp_path):
    new_method("first", tmp_path).rename(tmp_path / "renamed.py")
    with pytest.raises(RequestError, match=r"'first' is taken by .*renamed\.py"):
        new_method("first", tmp_path)
