import pkgutil
import subprocess
import sys

import compatbench.report


def test_the_report_needs_neither_torch_nor_matplotlib_to_start():
    modules = [f"compatbench.report.{module.name}" for module in pkgutil.iter_modules(compatbench.report.__path__)]
    assert len(modules) > 10
    code = (
        f"import sys\nimport {', '.join(modules)}\n"
        "print(sorted({'torch', 'timm', 'faiss', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
