from compatbench.comparison.api.functions import compare as compare
from compatbench.comparison.api.functions import fit as fit
from compatbench.comparison.api.functions import load as load
from compatbench.comparison.api.result import Result as Result
from compatbench.comparison.api.serving_adapter import ServingAdapter as ServingAdapter
from compatbench.errors import RequestError as RequestError

__version__: str
PROTOCOL_VERSION: int
