import pkgutil
import subprocess
import sys

import compatbench.report


def test_the_report_needs_no_heavy_library_to_start():
    modules = [module.name for module in pkgutil.walk_packages(compatbench.report.__path__, "compatbench.report.")]
    assert len(modules) > 40
    code = f"import sys\nimport {', '.join(modules)}\nprint(sorted({{'torch', 'timm', 'faiss'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
